"""The words of `--order` and `--transfer-out`, read into numbers.

`sell 5 BTC-USDT-SWAP @ 97000 ioc` and `1000 USDT`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, cast

from scenarios.errors import UserError, show

OrderWord = Literal["limit", "ioc", "fok", "post_only", "market"]

_ORDER = re.compile(
    r"\s*(?P<side>\w+)\s+(?P<size>\S+)\s+(?P<instrument>[A-Za-z0-9-]+)"
    r"\s*(?:@\s*(?P<price>[^\s@]+))?\s*(?P<type>\w+)?\s*"
)
_ORDER_FORM = "'SIDE SIZE INSTRUMENT @ PRICE [TYPE]', such as 'sell 5 BTC-USDT-SWAP @ 97000 ioc'"
_TRANSFER = re.compile(r"\s*(?P<amount>\S+)\s+(?P<currency>\S+)\s*")
_TRANSFER_FORM = "'AMOUNT CURRENCY', such as '1000 USDT'"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")


@dataclass(frozen=True, slots=True)
class OrderText:
    """An order as typed; `price` is None for a market order."""

    side: Literal["buy", "sell"]
    size: Decimal
    instrument_id: str
    price: Decimal | None
    order_type: OrderWord


def parse_order_text(text: str) -> OrderText:
    """The order in `text`.

    Raises:
        UserError: what is wrong with it and what is allowed.
    """
    match = _ORDER.fullmatch(text)
    if match is None:
        raise UserError(f"--order: {show(text, 80)} is not {_ORDER_FORM}")
    side, word = match["side"].lower(), (match["type"] or "limit").lower()
    price_text = match["price"]
    if price_text is not None and price_text.lower() == "market":
        price_text, word = None, "market"
    if side not in ("buy", "sell"):
        raise UserError(f"--order: side {show(match['side'])} is not 'buy' or 'sell'")
    if word not in ("limit", "ioc", "fok", "post_only", "market"):
        raise UserError(
            f"--order: type {show(match['type'])} is not 'limit', 'ioc', 'fok', 'post_only' or"
            " 'market'"
        )
    if word == "market" and price_text is not None:
        raise UserError(f"--order: a market order has no price; {show(price_text)} is given")
    if word != "market" and price_text is None:
        raise UserError(f"--order: no price; {_ORDER_FORM} is needed, or the type 'market'")
    return OrderText(
        side=cast('Literal["buy", "sell"]', side),
        size=_positive("--order: size", match["size"]),
        instrument_id=match["instrument"].upper(),
        price=None if price_text is None else _positive("--order: price", price_text),
        order_type=cast(OrderWord, word),
    )


def parse_transfer_text(text: str) -> tuple[Decimal, str]:
    """Amount and currency of `text`.

    Raises:
        UserError: what is wrong with it and what is allowed.
    """
    match = _TRANSFER.fullmatch(text)
    if match is None:
        raise UserError(f"--transfer-out: {show(text, 80)} is not {_TRANSFER_FORM}")
    return _positive("--transfer-out: amount", match["amount"]), match["currency"].upper()


def _positive(field: str, text: str) -> Decimal:
    number = Decimal(text) if _NUMBER.fullmatch(text) else Decimal("NaN")
    if not number.is_finite() or not 0 < number <= Decimal("1e15"):
        raise UserError(f"{field} {show(text)} is not a number above 0 and up to 1e15")
    return number
