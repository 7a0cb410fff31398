"""The market: instruments, orders, books, matching. Knows no account, no margin, no clock."""

from exchange.compiled import use_compiled

use_compiled()
