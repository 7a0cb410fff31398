"""`--order` and `--transfer-out`: what an order or a withdrawal would do, before it is sent.

Source: portfolio-margin.md sections 9, 11.4, 16.17.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich.console import Group
from rich.text import Text

from exchange.events import RejectReason
from exchange.instrument import Instrument, InstrumentKind, parse_instrument
from exchange.price_limits import (
    TIER_1_COINS,
    PriceBand,
    check_price,
    contract_band,
    option_band,
    protective_price_ticks,
    spot_band,
)
from risk.admission import (
    INSUFFICIENT_MARGIN,
    WOULD_BORROW,
    admission,
    largest_accepted_size,
    max_transfer_out,
)
from risk.black76 import option_delta
from risk.contracts import DAYS_PER_YEAR, Contract, MarketSnapshot, days_to_expiry
from risk.margin import MarginReport, OrderInput, Portfolio, fill_order
from risk.rules import RuleSet
from scenarios.errors import UserError
from scenarios.formats import at_most, coins, percent, price, ratio, usd
from scenarios.margin_input import check_rules, print_json, report_of
from scenarios.margin_view import print_view, table
from scenarios.market_moves import option_model_mark
from scenarios.portfolio_checks import check_instrument
from scenarios.portfolio_file import contract_of
from scenarios.what_if_text import OrderText, parse_order_text, parse_transfer_text

_LISTED_LONG_AGO = 0  # so that the band is that of normal trading
IMMEDIATE = ("ioc", "fok", "market")
_REJECTIONS = {
    INSUFFICIENT_MARGIN: RejectReason.INSUFFICIENT_MARGIN,
    WOULD_BORROW: RejectReason.INSUFFICIENT_BALANCE,
}


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """What an order would do.

    reject: None if it is accepted. reason: one sentence. largest_size: contracts (spot: coins) up
    to the position limit that would be accepted. occupied: initial margin it adds, USD.
    before, after, filled: reports without it, with it open, with it filled (fees apart).
    """

    order: OrderInput
    order_type: str
    reject: RejectReason | None
    rule: str
    reason: str
    largest_size: float
    occupied: float
    before: MarginReport
    after: MarginReport
    filled: MarginReport


def order_command(portfolio: Portfolio, rules: RuleSet, text: str, *, as_json: bool) -> None:
    """Print what the order in `text` would do to the account."""
    answer = answer_order(portfolio, rules, parse_order_text(text))
    if as_json:
        print_json(order_dict(answer))
    else:
        print_view(order_view(answer))


def transfer_command(portfolio: Portfolio, rules: RuleSet, text: str, *, as_json: bool) -> None:
    """Print whether the amount in `text` may leave the account, and how much may."""
    amount, currency = parse_transfer_text(text)
    market = portfolio.market
    if currency != "USD" and currency not in market.usd_index:
        known = ", ".join(market.usd_index)
        raise UserError(f"--transfer-out: currency {currency!r} is not one of {known}")
    check_rules(portfolio, rules)
    largest = max_transfer_out(portfolio, currency, rules)
    allowed = float(amount) <= largest
    before = report_of(portfolio, rules)
    if as_json:
        answer = {
            "currency": currency,
            "amount": float(amount),
            "allowed": allowed,
            "maximum": largest,
            "eq": before.eq,
            "totalImr": before.total_imr,
        }
        print_json(answer)
        return
    verdict = Text(" ALLOWED " if allowed else " REFUSED ", style=_verdict_style(allowed))
    words = f" transfer of {coins(float(amount))} {currency}; at most {at_most(largest)} may leave"
    why = (
        "A transfer borrows nothing and leaves adjusted equity at or above the initial margin:"
        f" {usd(before.eq)} against {usd(before.total_imr)} now."
    )
    print_view(Group(Text.assemble(verdict, words), Text(why, style="dim")))


def answer_order(portfolio: Portfolio, rules: RuleSet, text: OrderText) -> OrderAnswer:
    """Check one order against the instrument's rules, the limits, and the account's margin.

    Raises:
        UserError: the instrument, size or price is not possible, or the market lacks its prices.
    """
    instrument = _instrument(portfolio, text)
    contract = contract_of(instrument)
    band = _band(instrument, contract, portfolio.market)
    side = 1 if text.side == "buy" else -1
    limit = protective_price_ticks(side, band)
    if text.price is not None:
        limit = _price_ticks(instrument, text.price)
    limit_price = float(instrument.price(limit))
    order = OrderInput(contract, side * float(text.size), limit_price)
    check_rules(portfolio.with_order(order), rules)
    immediate = text.order_type in IMMEDIATE
    result = admission(portfolio, order, rules, immediate=immediate)
    room = _room(portfolio, instrument, side)
    by_rule = _rule_refusal(text, instrument, side, limit, band, room)
    refusal = (
        by_rule
        or _borrow_refusal(result.report_before, result.report_after, rules)
        or (None if result.accepted else (_REJECTIONS[result.rule], result.reason))
    )
    # A price or a type that is refused is so at every size.
    fits = by_rule is None or by_rule[0] is RejectReason.POSITION_LIMIT
    largest = OrderInput(contract, side * room if fits else 0.0, limit_price)
    lot = float(instrument.lot)
    return OrderAnswer(
        order=order,
        order_type=text.order_type,
        reject=refusal[0] if refusal else None,
        rule=result.rule,
        reason=refusal[1] if refusal else result.reason,
        largest_size=abs(
            largest_accepted_size(portfolio, largest, rules, lot, immediate=immediate)
        ),
        occupied=result.occupied,
        before=result.report_before,
        after=result.report_after,
        filled=report_of(fill_order(portfolio, order), rules),
    )


def _instrument(portfolio: Portfolio, text: OrderText) -> Instrument:
    """The order's instrument, once its size is in lots and the market has its prices."""
    try:
        instrument = parse_instrument(text.instrument_id)
    except ValueError as error:
        raise UserError(f"--order: {error}") from None
    findings: list[str] = []
    time = datetime.fromtimestamp(portfolio.market.time_ns / 1e9, UTC)
    check_instrument("--order", instrument, text.size, portfolio.market, time, findings)
    if findings:
        raise UserError(findings[0])
    return instrument


def _price_ticks(instrument: Instrument, limit: Decimal) -> int:
    try:
        return instrument.price_ticks(limit)
    except ValueError as error:
        raise UserError(f"--order: {error}") from None


def _band(instrument: Instrument, contract: Contract, market: MarketSnapshot) -> PriceBand:
    """Lowest sell and highest buy price; the premium is that of the snapshot's mark.

    Source: 11.4.
    """
    tick = float(instrument.tick)
    if instrument.kind == InstrumentKind.OPTION:
        assert contract.expiry_ns is not None
        years = days_to_expiry(contract.expiry_ns, market.time_ns) / DAYS_PER_YEAR
        mark = market.mark.get(contract.instrument_id, option_model_mark(contract, market))
        delta = option_delta(
            market.forward_price(contract),
            contract.strike,
            years,
            market.volatility(contract),
            contract.is_call,
        )
        return option_band(instrument, max(1, round(mark / tick)), round(abs(delta) * 1e6))
    index = max(1, round(market.index_price(instrument.base, instrument.quote) / tick))
    if instrument.kind == InstrumentKind.SPOT:
        return spot_band(index, 1 if instrument.base in TIER_1_COINS else 2)
    premium = round(market.mark_price(contract) / tick) - index
    return contract_band(instrument, market.time_ns, _LISTED_LONG_AGO, index, premium)


def _room(portfolio: Portfolio, instrument: Instrument, side: int) -> float:
    """Contracts (spot: coins) that may be added on one side before the position limit."""
    limit = float(instrument.position_limit_lots * instrument.lot)
    return max(0.0, limit - side * portfolio.position_size(instrument.instrument_id))


def _rule_refusal(
    text: OrderText, instrument: Instrument, side: int, limit: int, band: PriceBand, room: float
) -> tuple[RejectReason, str] | None:
    """A refusal that has nothing to do with margin: order type, price limit, position limit."""
    if text.order_type == "market" and instrument.kind == InstrumentKind.OPTION:
        return RejectReason.BAD_ORDER_TYPE, "options have no market orders"
    outside = check_price(side, limit, band)
    if outside is not None:
        low = price(float(instrument.price(band.low_ticks)))
        high = price(float(instrument.price(band.high_ticks)))
        return outside, f"{outside.meaning}: sells from {low}, buys up to {high}"
    if float(text.size) > room:
        reason = RejectReason.POSITION_LIMIT
        return reason, f"{reason.meaning}: at most {coins(room)} more on this side"
    return None


def _borrow_refusal(
    before: MarginReport, after: MarginReport, rules: RuleSet
) -> tuple[RejectReason, str] | None:
    """A refusal because the order may deepen a borrowing beyond the account's limit."""
    had = {asset.ccy: asset.potential_liability for asset in before.assets}
    for asset in after.assets:
        largest = rules.borrow_limit(asset.ccy)
        if asset.potential_liability > max(largest, had.get(asset.ccy, 0.0)):
            reason = RejectReason.BORROW_LIMIT
            words = f"{coins(asset.potential_liability)} {asset.ccy} against {coins(largest)}"
            return reason, f"{reason.meaning}: {words}"
    return None


def order_dict(answer: OrderAnswer) -> dict[str, Any]:
    """The answer as JSON; `before`, `after` and `filled` are margin reports."""
    order, reject = answer.order, answer.reject
    return {
        "instId": order.contract.instrument_id,
        "side": "buy" if order.size > 0 else "sell",
        "sz": abs(order.size),
        "px": order.price,
        "ordType": answer.order_type,
        "accepted": reject is None,
        "rule": answer.rule if reject is None else None,
        "code": None if reject is None else reject.okx_code,
        "reason": answer.reason,
        "largestSize": answer.largest_size,
        "occupiedImr": answer.occupied,
        "before": answer.before.to_okx_dict(),
        "after": answer.after.to_okx_dict(),
        "filled": answer.filled.to_okx_dict(),
    }


def order_view(answer: OrderAnswer) -> Group:
    """The answer as a table: without the order, with it open, with it filled."""
    accepted = answer.reject is None
    verdict = Text(" ACCEPTED " if accepted else " REFUSED ", style=_verdict_style(accepted))
    order = answer.order
    is_spot = order.contract.kind == InstrumentKind.SPOT
    unit = order.contract.base if is_spot else "contracts"
    words = (
        f" {'buy' if order.size > 0 else 'sell'} {coins(abs(order.size))}"
        f" {order.contract.instrument_id} @ {price(order.price)} {answer.order_type}"
    )
    code = "" if answer.reject is None else f" (code {answer.reject.okx_code})"
    built = table("USD", "now", "order open", "order filled")
    reports = (answer.before, answer.after, answer.filled)
    built.add_row("adjusted equity", *[usd(r.eq) for r in reports])
    built.add_row("smallest over fill sets", *[usd(r.smallest_equity) for r in reports])
    built.add_row("maintenance margin", *[usd(r.total_mmr) for r in reports])
    built.add_row("initial margin", *[usd(r.total_imr) for r in reports])
    built.add_row("  of it borrowing", *[usd(r.borrow_imr) for r in reports])
    built.add_row("free", *[usd(r.smallest_equity - r.total_imr) for r in reports])
    built.add_row("margin ratio", *[ratio(r.margin_ratio) for r in reports])
    share = answer.occupied / answer.before.total_imr if answer.before.total_imr else 0.0
    added = f" ({percent(share, 1)} of what is required now)" if share else ""
    notes = (
        f"The order occupies {usd(answer.occupied)} of initial margin{added}."
        f"\nThe largest size that would be accepted: {at_most(answer.largest_size)} {unit}."
        "\nThe filled column takes the limit price and no fee."
    )
    return Group(Text.assemble(verdict, words), f"{answer.reason}{code}", built, notes)


def _verdict_style(good: bool) -> str:
    return "bold white on green" if good else "bold white on red"
