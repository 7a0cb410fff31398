"""Makes docs/reject-codes.md from the enums: `python -m tests.accounts.reasons_page`."""

from __future__ import annotations

from pathlib import Path

from exchange.events import CancelReason, RejectReason

PAGE = Path(__file__).parents[2] / "docs" / "reject-codes.md"

INTRODUCTION = """\
# Why an order was refused or cancelled

Made from `exchange.events` (`python -m tests.accounts.reasons_page`); one test keeps it equal,
another sees that every reason occurs. The code is the number that OKX gives the case; names and
words are ours.

## Refusals

A refused request changes nothing. Where several rules refuse it, the first in this order answers:
state of the instrument, state of the account, type, size, price and tick, price limits, conditions
(client order id, number of orders, protection, reduce-only), then position limit, borrowing and
margin.

"""

CANCELS = """
## Cancellations

The number is OKX's `cancelSource`.

"""

WHY = {
    CancelReason.SYSTEM: "trading in the instrument was suspended",
    CancelReason.USER: "the trader asked for it, for one order or all",
    CancelReason.RISK_CONTROL: "margin: the order needed margin that the account no longer has",
    CancelReason.BORROW_LIMIT: "its fill would push the account's borrowing above its limit",
    CancelReason.ADL: "deleveraging took the position that a reduce-only order was to close",
    CancelReason.DELIVERY: "the future was delivered",
    CancelReason.INSUFFICIENT_BALANCE: "auto-borrow is off and funding took what covered it",
    CancelReason.OPTION_EXPIRY: "the option expired",
    CancelReason.FOK: "fill-or-kill could not fill in full",
    CancelReason.IOC: "what an order that may not rest did not find in the book",
    CancelReason.PRICE_LIMIT: "the rest of a market order: the book goes on beyond the price limit",
    CancelReason.POSITION_CLOSED: "reduce-only, and the position is closed",
    CancelReason.CANCEL_ALL_AFTER: "the dead man's switch fired",
    CancelReason.REDUCE_ONLY_EXCESS: "reduce-only, and the side's open orders exceed the position",
    CancelReason.REDUCE_ONLY_CONFLICT: "reduce-only, and the position has turned",
    CancelReason.PRICE_GAP: "the next counterparty's price is too far from the best price",
    CancelReason.POST_ONLY: "post-only would have taken liquidity",
    CancelReason.SELF_TRADE: "self-trade prevention",
    CancelReason.TOO_MANY_MATCHES: "the order met the most makers that one taker may meet",
    CancelReason.MMP_TRIGGERED: "market-maker protection fired for the family",
    CancelReason.MMP_FROZEN: "the rest of the protected order whose own fills fired it",
}


def page() -> str:
    """The whole page."""
    lines = ["| code | name | meaning |", "|---|---|---|"]
    lines += [f"| {r.okx_code} | `{r.name}` | {r.meaning} |" for r in RejectReason]
    cancels = ["| source | name | when |", "|---|---|---|"]
    cancels += [f"| {r.value} | `{r.name}` | {WHY[r]} |" for r in CancelReason]
    return INTRODUCTION + "\n".join(lines) + "\n" + CANCELS + "\n".join(cancels) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
