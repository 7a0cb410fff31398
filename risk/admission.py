"""Whether an order may rest or trade, how large it may be, and what may leave the account.

The unrounded reference of the incremental check in `order_kernels`.

Source: portfolio-margin.md sections 9.6 to 9.8, 16.17.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from risk import layout as at
from risk.margin import MarginReport, margin_report
from risk.portfolio import OrderInput, Portfolio, fill_order
from risk.report import FILL_SETS
from risk.rules import RuleSet
from risk.valuation import Valuation, order_fee, value_portfolio

# Coins: below the smallest unit of every currency, above the rounding of a sum.
_COVER_TOLERANCE = 1e-9
_BISECTIONS = 60

ENOUGH_EQUITY = "enough_equity"
REDUCES_RISK = "reduces_risk"
INSUFFICIENT_MARGIN = "insufficient_margin"
WOULD_BORROW = "would_borrow"


@dataclass(frozen=True, slots=True)
class AdmissionResult:
    """The answer to one order.

    rule: ENOUGH_EQUITY (16.17 a), REDUCES_RISK (b), INSUFFICIENT_MARGIN (c) or WOULD_BORROW.
    reason: one sentence with the figures. report_before: without the order; report_after: with it
    open; report_filled: with it filled, where rule (b) was tried. occupied: initial margin that the
    order adds, USD, at least 0. currency: the one that would be borrowed.
    """

    accepted: bool
    rule: str
    reason: str
    report_before: MarginReport
    report_after: MarginReport
    report_filled: MarginReport | None
    occupied: float
    currency: str = ""


def admission(
    portfolio: Portfolio, order: OrderInput, rules: RuleSet, *, immediate: bool = False
) -> AdmissionResult:
    """Check occupied margin for one more order.

    immediate: an IOC, FOK or market order, which alone may pass by lowering risk. The instrument's
    own rules, limits and quotas are not checked here.  Source: 16.17.
    """
    before = margin_report(portfolio, rules)
    after = margin_report(portfolio.with_order(order), rules)
    result = AdmissionResult(
        accepted=False,
        rule=INSUFFICIENT_MARGIN,
        reason="",
        report_before=before,
        report_after=after,
        report_filled=None,
        occupied=max(0.0, after.total_imr - before.total_imr),
    )
    if not portfolio.auto_borrow:
        uncovered = uncovered_currency(portfolio, order, rules)
        if uncovered:
            text = f"the order would borrow {uncovered} and auto-borrow is off"
            return replace(result, rule=WOULD_BORROW, reason=text, currency=uncovered)
    equity = after.smallest_equity
    if equity >= after.total_imr:
        text = f"equity {equity:,.2f} covers the initial margin {after.total_imr:,.2f} USD"
        return replace(result, accepted=True, rule=ENOUGH_EQUITY, reason=text)
    missing = f"equity {equity:,.2f} is below the initial margin {after.total_imr:,.2f} USD"
    if not immediate:
        return replace(result, reason=missing)
    filled = margin_report(filled_with_fee(portfolio, order, rules), rules)
    gain = (filled.eq - filled.total_imr) - (before.eq - before.total_imr)
    if gain >= 0.0:
        text = f"{missing}, but the fill raises equity less margin by {gain:,.2f} USD"
        return replace(result, accepted=True, rule=REDUCES_RISK, reason=text, report_filled=filled)
    text = f"{missing}, and the fill lowers equity less margin by {-gain:,.2f} USD"
    return replace(result, reason=text, report_filled=filled)


def filled_with_fee(portfolio: Portfolio, order: OrderInput, rules: RuleSet) -> Portfolio:
    """The account after the whole order filled at its price and the taker fee was paid.

    The fee is paid in the settlement currency (spot: the quote currency).  Source: 16.17 (b).
    """
    filled = fill_order(portfolio, order)
    market, settle = portfolio.market, order.contract.settle
    fee = order_fee(order, market.usd(order.contract.base), rules) / market.usd(settle)
    balances = {**filled.balances, settle: filled.balances.get(settle, 0.0) - fee}
    return replace(filled, balances=balances)


def uncovered_currency(portfolio: Portfolio, order: OrderInput, rules: RuleSet) -> str:
    """The first currency that some fill set would drive (deeper) below zero, fees included, or "".

    Source: 16.17 (auto-borrow off).
    """
    valuation = value_portfolio(portfolio.with_order(order), rules)
    for currency in valuation.currencies:
        allowed = min(0.0, valuation.equity(currency)) - _COVER_TOLERANCE
        for number in range(len(FILL_SETS)):
            fees = valuation.set_fees[number].get(currency, 0.0)
            if valuation.equity(currency, number) - fees < allowed:
                return currency
    return ""


def largest_accepted_size(
    portfolio: Portfolio,
    order: OrderInput,
    rules: RuleSet,
    lot: float,
    *,
    immediate: bool = False,
) -> float:
    """The largest size up to `order.size`, a multiple of `lot`, that is accepted; signed.

    Found by bisection between zero and the whole order, so O(log(size / lot)) reports; where
    acceptance is not one range from zero up, an accepted size whose next lot is refused.
    """

    def accepted(lots: int) -> bool:
        sized = replace(order, size=math.copysign(lots * lot, order.size))
        return admission(portfolio, sized, rules, immediate=immediate).accepted

    most = math.floor(abs(order.size) / lot * (1.0 + 1e-12))
    if most <= 0:
        return 0.0
    low, high = 0, most
    if accepted(most):
        low = most
    while high - low > 1:
        middle = (low + high) // 2
        if accepted(middle):
            low = middle
        else:
            high = middle
    return math.copysign(low * lot, order.size) if low else 0.0


def max_transfer_out(portfolio: Portfolio, currency: str, rules: RuleSet) -> float:
    """Coins of `currency` that may leave: equity stays at or above the initial margin.

    Nothing is borrowed for a transfer: at most the cash balance and the equity in the currency.
    Long options count with the haircuts of `account.transfer`.  Source: 4.3, 9.8.
    """
    valuation = value_portfolio(portfolio, rules)
    cash = valuation.cash.get(currency, 0.0)
    most = max(0.0, min(cash, valuation.equity(currency))) if cash > 0.0 else 0.0
    haircut = _option_haircut(valuation)

    def allowed(amount: float) -> bool:
        balances = {**portfolio.balances, currency: cash - amount}
        report = margin_report(replace(portfolio, balances=balances), rules)
        return report.smallest_equity - haircut >= report.total_imr

    if most == 0.0 or not allowed(0.0):
        return 0.0
    if allowed(most):
        return most
    low, high = 0.0, most
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if allowed(middle):
            low = middle
        else:
            high = middle
    return low


def _option_haircut(valuation: Valuation) -> float:
    """USD of long option value that does not count in transfers.  Source: 4.3."""
    terms = valuation.rules.account.transfer
    value = counted = 0.0
    for held in valuation.portfolio.positions:
        contract = held.contract
        if contract.strike == 0.0 or held.size <= 0.0:
            continue
        amount = held.size * contract.coins_per_contract
        worth = amount * valuation.mark(contract) * valuation.usd[contract.base]
        row = valuation.row_of[contract.instrument_id]
        forward = float(valuation.table.prices.forward[row])
        delta_usd = float(valuation.table.rows[row, at.USD_DELTA])
        delta = delta_usd / (contract.coins_per_contract * forward)
        small = abs(delta) < terms.small_delta
        value += worth
        counted += worth * (terms.small_delta_factor if small else terms.liquidity_factor)
    return value - min(counted, terms.cap_usd)
