"""Numbers as a person reads them."""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, Decimal


def usd(amount: float) -> str:
    """USD with thousands separators; cents below 10,000."""
    if abs(amount) < 0.005:
        return "0"
    return f"{amount:,.0f}" if abs(amount) >= 1e4 else f"{amount:,.2f}"


def whole(amount: float) -> str:
    """USD for narrow columns: no cents from 100 up."""
    return f"{amount:,.0f}" if abs(amount) >= 100.0 else usd(amount)


def signed_usd(amount: float) -> str:
    """As `usd`, with a plus sign where the amount is positive."""
    return f"+{usd(amount)}" if amount >= 0.005 else usd(amount)


def coins(amount: float) -> str:
    """An amount of a coin: up to six decimals, fewer for large ones, no trailing zeros."""
    if amount == 0.0:
        return "0"
    size = abs(amount)
    decimals = 0 if size >= 1e4 else 2 if size >= 100 else 6
    text = f"{amount:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if decimals else text
    return f"{amount:.3g}" if text in ("0", "-0") else text


def at_most(amount: float) -> str:
    """A largest amount to eight decimals, never rounded up."""
    # 15 digits first: a multiple of a lot is not always the float that it prints as.
    text = f"{Decimal(f'{amount:.15g}').quantize(Decimal('1e-8'), ROUND_DOWN):,f}"
    return text.rstrip("0").rstrip(".")


def percent(fraction: float, decimals: int = 2) -> str:
    """A fraction as per cent without trailing zeros."""
    text = f"{fraction * 100.0:,.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text if text != '-0' else '0'} %"


def signed_percent(fraction: float, decimals: int = 2) -> str:
    """As `percent`, with a plus sign where the fraction is positive."""
    text = percent(fraction, decimals)
    return f"+{text}" if fraction > 0.0 and text != "0 %" else text


def ratio(value: float) -> str:
    """A margin ratio in per cent; what there is to say where nothing is required."""
    if math.isinf(value):
        return "no requirement"
    return percent(value, 1) if abs(value) < 100 else f"{value * 100:,.0f} %"


def price(value: float) -> str:
    """A price: four decimals from 1 up, six digits below."""
    if abs(value) >= 1.0:
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return f"{value:.6g}"


def plural(count: int, noun: str) -> str:
    """`1 lot`, `2 lots`."""
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"
