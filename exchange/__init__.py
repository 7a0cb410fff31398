"""The market: instruments, orders, books, matching. Knows no account, no margin, no clock."""
