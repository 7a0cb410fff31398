"""The margin of one account: the public door of `risk`."""

from __future__ import annotations

import math
from dataclasses import replace

from risk.borrowing import borrow_array
from risk.collateral import discount_array
from risk.components import unit_report
from risk.kernels import borrow_rates, borrow_tier, discounted_value
from risk.multi_currency import isolated_report, position_margins
from risk.portfolio import (
    MULTI_CURRENCY_MODE,
    IsolatedInput,
    OrderInput,
    Portfolio,
    PositionInput,
    fill_order,
    profit,
)
from risk.report import (
    FILL_SETS,
    AssetReport,
    IsolatedReport,
    MarginReport,
    PositionLine,
    RiskUnitReport,
)
from risk.rules import RuleSet
from risk.valuation import Valuation, notional_usd, position_upl_usd, value_portfolio

__all__ = [
    "AssetReport",
    "IsolatedInput",
    "IsolatedReport",
    "MarginReport",
    "OrderInput",
    "Portfolio",
    "PositionInput",
    "PositionLine",
    "RiskUnitReport",
    "fill_order",
    "margin_report",
    "profit",
]


def margin_report(portfolio: Portfolio, rules: RuleSet) -> MarginReport:
    """The margin of an account, unrounded, with all that explains it.

    >>> from risk.contracts import PERPETUAL, Contract, MarketSnapshot
    >>> from risk.rules import load_rules
    >>> swap = Contract("BTC-USDT-SWAP", PERPETUAL, "BTC", "USDT", "USDT", False, 0.01)
    >>> market = MarketSnapshot(0, {"BTC": 60_000.0, "USDT": 1.0}, mark={"BTC-USDT-SWAP": 60_000.0})
    >>> position = PositionInput(swap, size=100.0, entry_price=60_000.0)
    >>> account = Portfolio(market, balances={"USDT": 20_000.0}, positions=(position,))
    >>> report = margin_report(account, load_rules("okx-2025"))
    >>> round(report.total_mmr, 6), round(report.total_imr, 6), round(report.margin_ratio, 6)
    (7320.0, 9516.0, 2.73224)

    (12 % of 60,000 USD by MR1, and 0.2 % by MR4; the initial margin is 1.3 times that.)

    Raises MarketDataError where a price is missing, RulesError for a currency or an offset mode
    that the rule set does not have. O(positions + orders).
    Source: sections 4 to 7, 16.
    """
    valuation = value_portfolio(portfolio, rules)
    assets = tuple(_asset(valuation, currency) for currency in valuation.currencies)
    borrow_mmr = math.fsum(asset.borrow_mmr for asset in assets)
    borrow_imr = math.fsum(asset.borrow_imr for asset in assets)
    units: tuple[RiskUnitReport, ...] = ()
    lines: tuple[PositionLine, ...] = ()
    if portfolio.mode == MULTI_CURRENCY_MODE:
        lines, deriv_mmr, deriv_imr = position_margins(valuation)
    else:
        numbers = range(len(valuation.table.units))
        units = tuple(unit_report(valuation, number, borrow_mmr) for number in numbers)
        deriv_mmr = math.fsum(unit.mmr for unit in units)
        deriv_imr = math.fsum(unit.imr for unit in units)
        in_use = {unit.base: unit.spot_in_use for unit in units if unit.spot_in_use != 0.0}
        assets = tuple(replace(a, spot_in_use=in_use.get(a.ccy, 0.0)) for a in assets)
    discounted = math.fsum(asset.dis_eq for asset in assets)
    equity = discounted - valuation.pending_loss - valuation.fees
    fee = math.fsum(asset.liquidation_fee for asset in assets)
    notional = math.fsum(
        notional_usd(p.contract, p.size, valuation.usd[p.contract.base])
        for p in portfolio.positions
    )
    return MarginReport(
        rules=rules.name,
        mode=portfolio.mode,
        time_ns=portfolio.market.time_ns,
        eq=equity,
        total_mmr=deriv_mmr + borrow_mmr,
        total_imr=deriv_imr + borrow_imr,
        borrow_mmr=borrow_mmr,
        borrow_imr=borrow_imr,
        deriv_mmr=deriv_mmr,
        deriv_imr=deriv_imr,
        margin_ratio=margin_ratio(equity, deriv_mmr + borrow_mmr + fee),
        upl=math.fsum(position_upl_usd(valuation, held) for held in portfolio.positions),
        acct_lever=notional / equity if equity != 0.0 else math.inf,
        notional_usd=notional,
        assets=assets,
        risk_units=units,
        positions=lines,
        isolated=tuple(isolated_report(held, portfolio, rules) for held in portfolio.isolated),
        total_equity=math.fsum(asset.eq_usd for asset in assets),
        discounted_equity=discounted,
        pending_order_loss=valuation.pending_loss,
        estimated_fees=valuation.fees,
        liquidation_fee=fee,
        fill_set_equity=_fill_set_equity(valuation),
    )


def margin_ratio(adjusted_equity: float, requirement: float) -> float:
    """Adjusted equity over the requirement; infinite where there is none.  Source: 16.15."""
    return adjusted_equity / requirement if requirement > 0.0 else math.inf


def _asset(valuation: Valuation, currency: str) -> AssetReport:
    """Equity bridge and borrowing of one currency.  Source: 4.1, 4.3, 7.2, 16.13."""
    rules, usd = valuation.rules, valuation.usd[currency]
    equity = valuation.equity(currency)
    discounted = discounted_value(discount_array(rules, currency), equity) * usd
    liabilities = [
        max(0.0, -valuation.equity(currency, number)) for number in range(len(FILL_SETS))
    ]
    liability, potential = liabilities[0], max(liabilities)
    tiers = borrow_array(rules, currency)
    maintenance = borrow_rates(tiers, liability)[0] if liability > 0.0 else 0.0
    initial = 0.0
    if potential > 0.0:
        leverage = valuation.portfolio.leverage.get(currency, math.inf)
        initial = max(borrow_rates(tiers, potential)[1], 1.0 / leverage)
    fee_rate = rules.fees.liquidation_borrow
    return AssetReport(
        ccy=currency,
        usd_index=usd,
        cash=valuation.cash.get(currency, 0.0),
        upl=valuation.upl.get(currency, 0.0),
        option_value=valuation.option_value.get(currency, 0.0),
        avail_eq=equity,
        eq_usd=equity * usd,
        dis_eq=discounted,
        haircut=equity * usd - discounted,
        spot_in_use=0.0,
        liability=liability,
        potential_liability=potential,
        potential_set=FILL_SETS[liabilities.index(potential)],
        mmr_rate=maintenance,
        imr_rate=initial,
        mmr_tier=borrow_tier(tiers, liability) if liability > 0.0 else 0,
        imr_tier=borrow_tier(tiers, potential) if potential > 0.0 else 0,
        borrow_mmr=liability * usd * maintenance,
        borrow_imr=potential * usd * initial,
        liquidation_fee=liability * usd * (1.0 + maintenance) * fee_rate,
    )


def _fill_set_equity(valuation: Valuation) -> dict[str, float]:
    """Adjusted equity after each fill set, discounted anew.  Source: 16.17 (a)."""
    less = valuation.pending_loss + valuation.fees
    return {
        name: math.fsum(
            discounted_value(discount_array(valuation.rules, c), valuation.equity(c, number))
            * valuation.usd[c]
            for c in valuation.currencies
        )
        - less
        for number, name in enumerate(FILL_SETS)
    }
