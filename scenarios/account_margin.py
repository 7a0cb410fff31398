"""The margin of a rebuilt account, recomputed from its balances, positions, orders and the prices.

This is a second way to the figures that the run recorded: the report of `risk.margin` on what the
ledger and the fills say, not the exposure tables that decided during the run.
"""

from __future__ import annotations

from typing import Any

from accounts.market import contract_of
from exchange.instrument import Instrument, parse_instrument
from risk.contracts import Contract, MarketSnapshot
from risk.margin import MarginReport, OrderInput, Portfolio, PositionInput, margin_report
from risk.rules import RULE_SETS, load_rules
from scenarios.account_view import AccountView
from scenarios.run_directory import Run


def recorded_instrument(entry: dict[str, Any]) -> Instrument:
    """The instrument of a manifest's entry."""
    return parse_instrument(
        entry["instrument_id"],
        tick=entry["tick"],
        lot=entry["lot"],
        contract_value=entry["contract_value"],
        contract_multiplier=entry["contract_multiplier"],
    )


def rules_of(run: Run) -> str:
    """Name of the rule set that the run's configuration begins with."""
    name = run.manifest["config"].get("rules", "okx-2025")
    return name if isinstance(name, str) and name in RULE_SETS else "okx-2025"


def recomputed_margin(run: Run, view: AccountView) -> MarginReport | None:
    """The margin report of an account as rebuilt; None where it cannot be known.

    That is where the account or its orders include options, whose volatilities no table holds, and
    for isolated positions, whose rule is another.
    """
    if "/isolated/" in view.name:
        return None
    contracts = {
        name: contract_of(recorded_instrument(entry)) for name, entry in run.instruments.items()
    }
    involved = [p.instrument for p in view.positions] + view.open_orders["instrument"].to_list()
    if any(run.instruments[name]["kind"] == "option" for name in involved):
        return None
    portfolio = Portfolio(
        _market(run, view.time_ns),
        balances={b.currency: b.cash - b.owed for b in view.balances},
        positions=tuple(
            PositionInput(contracts[p.instrument], p.contracts, p.entry_price)
            for p in view.positions
        ),
        orders=_orders(view, contracts),
    )
    return margin_report(portfolio, load_rules(rules_of(run)))


def _orders(view: AccountView, contracts: dict[str, Contract]) -> tuple[OrderInput, ...]:
    return tuple(
        OrderInput(
            contracts[row["instrument"]],
            row["remaining"] * (1 if row["side"] == "buy" else -1),
            row["price"],
        )
        for row in view.open_orders.iter_rows(named=True)
    )


def _market(run: Run, time_ns: int) -> MarketSnapshot:
    """All prices published at or before a time."""
    prices = run.prices
    number = max(0, int((prices["time_ns"] <= time_ns).sum()) - 1)
    row = prices.row(number, named=True)
    usd, index, mark = {}, {}, {}
    for column, value in row.items():
        kind, _, name = column.partition(":")
        if kind == "usd":
            usd[name] = value / 1e8
        elif kind == "index":
            index[name] = value / 1e8
        elif kind == "mark":
            mark[name] = value * float(run.instruments[name]["tick"])
    return MarketSnapshot(time_ns, usd, index, mark)
