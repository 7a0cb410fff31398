"""The stress table: one row per instrument and mark, from which every margin figure is a sum.

Source: portfolio-margin.md 16.1 to 16.11; design.md sections 3 and 5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from risk import layout as at
from risk.contracts import DAYS_PER_YEAR, OPTION, SPOT, Contract, MarketDataError, MarketSnapshot
from risk.risk_unit import (
    UnitLayout,
    UnitParams,
    shared_tables,
    signed_shocks,
    unit_layouts,
    unit_name,
    unit_params,
)
from risk.rules import RuleSet
from risk.stress_kernels import (
    InstrumentTerms,
    RoundedStress,
    StressPrices,
    StressRows,
    StressRules,
    round_rows,
    stress_rows,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CASH_COLUMNS = dict(zip(at.CASH_QUOTES, (at.CASH_USDT, at.CASH_USDC, at.CASH_USD), strict=True))


@dataclass(frozen=True, slots=True)
class StressTable:
    """Stress rows of all instruments at one mark, per ONE CONTRACT, unrounded.

    rows: float64 (instruments, columns), USD, columns of `layout`. mr7_long, mr7_short: raw MR7 of
    one contract long or short, USD. mark: options filled in from volatility (coin). gamma: USD
    delta per 1 % move. value: mark value in the settlement currency (inverse: -N / mark).
    unit_of: int64 (instruments,), row in `units`. unit_params: float64 (units, size).
    The arrays belong to the table: the next mark has a table of its own.
    """

    contracts: tuple[Contract, ...]
    units: tuple[UnitLayout, ...]
    unit_of: Ints
    time_ns: int
    prices: StressPrices
    rows: Floats
    mr7_long: Floats
    mr7_short: Floats
    mark: Floats
    gamma: Floats
    value: Floats
    unit_params: Floats


@dataclass(frozen=True, slots=True)
class StressPlan:
    """All that does not change from mark to mark; make it once for a set of instruments.

    Raises ValueError for a linear contract that is not quoted in USDT or USDC.
    """

    contracts: tuple[Contract, ...]
    rules: RuleSet
    units: tuple[UnitLayout, ...]
    unit_of: Ints
    terms: InstrumentTerms
    params: UnitParams
    width: int

    @classmethod
    def of(
        cls, contracts: Sequence[Contract], rules: RuleSet, offset_mode: str | None = None
    ) -> StressPlan:
        """Group the contracts into units and pack their terms.  O(instruments)."""
        units = unit_layouts(contracts, rules, offset_mode)
        number = {unit.name: index for index, unit in enumerate(units)}
        names = [unit_name(rules, contract, offset_mode) for contract in contracts]
        return cls(
            contracts=tuple(contracts),
            rules=rules,
            units=units,
            unit_of=np.array([number[name] for name in names], np.int64),
            terms=_terms(contracts, [units[number[name]] for name in names], rules),
            params=unit_params(rules, units),
            width=max((unit.width for unit in units), default=at.EXPIRIES),
        )

    def prices(self, market: MarketSnapshot) -> StressPrices:
        """Look up the prices of a snapshot; MarketDataError names what is missing."""
        return StressPrices(
            *np.array([_prices(c, market) for c in self.contracts]).reshape(-1, 6).T.copy()
        )

    def evaluate(
        self, time_ns: int, prices: StressPrices, usd_usdt: float, usd_usdc: float
    ) -> StressTable:
        """The stress table of one mark.  O(instruments x cells), about 1.2 us for an option beside
        the other one at its strike."""
        count = len(self.contracts)
        out = StressRows(np.empty((count, self.width)), *(np.empty(count) for _ in range(5)))
        stress_rows(self.terms, prices, self.shared_rules(), time_ns, out)
        self.params.update(time_ns, usd_usdt, usd_usdc)
        return StressTable(
            contracts=self.contracts,
            units=self.units,
            unit_of=self.unit_of,
            time_ns=time_ns,
            prices=prices,
            unit_params=self.params.values.copy(),
            rows=out.rows,
            mr7_long=out.mr7_long,
            mr7_short=out.mr7_short,
            mark=out.mark,
            gamma=out.gamma,
            value=out.value,
        )

    def shared_rules(self) -> StressRules:
        """The numbers of the rule set that all rows share."""
        shock = self.rules.spot_shock
        years = self.rules.time_decay.days / DAYS_PER_YEAR
        volatility = shared_tables(self.rules)[0]
        return StressRules(volatility, shock.volatility_floor, shock.price_floor, years)


def build_stress(
    contracts: Sequence[Contract],
    market: MarketSnapshot,
    rules: RuleSet,
    offset_mode: str | None = None,
) -> StressTable:
    """The stress table of a snapshot: `StressPlan.of` and `evaluate` in one call.

    Raises MarketDataError when a price is missing, not positive or not finite.
    """
    plan = StressPlan.of(contracts, rules, offset_mode)
    usdt, usdc = stablecoin_prices(market)
    return plan.evaluate(market.time_ns, plan.prices(market), usdt, usdc)


def stablecoin_prices(market: MarketSnapshot) -> tuple[float, float]:
    """USD per USDT and per USDC; 1 for one that the snapshot does not name (nothing uses it)."""
    usdt, usdc = market.usd_index.get("USDT", 1.0), market.usd_index.get("USDC", 1.0)
    return _usable("usd_index.USDT", usdt), _usable("usd_index.USDC", usdc)


def _usable(name: str, price: float) -> float:
    if not 0.0 < price < math.inf:
        raise MarketDataError(f"market.{name} must be positive and finite, not {price!r}")
    return price


def _prices(contract: Contract, market: MarketSnapshot) -> tuple[float, ...]:
    """The six columns of `StressPrices` for one contract."""
    name = contract.instrument_id
    usd_base = _usable(f"usd_index.{contract.base}", market.usd(contract.base))
    usd_quote = _usable(f"usd_index.{contract.quote}", market.usd(contract.quote))
    index = market.index_price(contract.base, contract.quote)
    _usable(f'index."{contract.pair}"', index)
    if contract.kind == SPOT:
        return index, usd_base, usd_quote, index, math.nan, math.nan
    if contract.kind != OPTION:
        mark = _usable(f'mark."{name}"', market.mark_price(contract))
        return mark, usd_base, usd_quote, index, math.nan, math.nan
    volatility = market.volatility(contract)
    if not 0.0 <= volatility < math.inf:
        raise MarketDataError(
            f'market.implied_vol."{name}" must be at least 0 and finite, not {volatility!r}'
        )
    forward = _usable(f'forward of "{name}"', market.forward_price(contract))
    mark = market.mark.get(name, math.nan)
    if mark < 0.0 or math.isinf(mark):
        raise MarketDataError(f'market.mark."{name}" must be at least 0 and finite, not {mark!r}')
    return mark, usd_base, usd_quote, index, forward, volatility


def _cash_column(contract: Contract) -> int:
    if contract.kind == OPTION or contract.inverse:
        return at.CASH_USD
    if contract.kind == SPOT:
        return -1
    if contract.quote not in ("USDT", "USDC"):
        raise ValueError(
            f"{contract.instrument_id}: a linear contract must be quoted in USDT or USDC, "
            f"not {contract.quote}"
        )
    return _CASH_COLUMNS[contract.quote]


def _slot(contract: Contract, unit: UnitLayout) -> int:
    if contract.expiry_ns is None:
        return -1
    return unit.expiries_ns.index(contract.expiry_ns)


def _terms(
    contracts: Sequence[Contract], units: Sequence[UnitLayout], rules: RuleSet
) -> InstrumentTerms:
    groups = [unit.group for unit in units]
    shocks = [signed_shocks(rules, group) for group in groups]
    return InstrumentTerms(
        kind=np.array([c.kind for c in contracts], np.int64),
        inverse=np.array([c.inverse for c in contracts], np.int64),
        amount=np.array([c.coins_per_contract for c in contracts], np.float64),
        strike=np.array([c.strike for c in contracts], np.float64),
        is_call=np.array([c.is_call for c in contracts], np.int64),
        expiry_ns=np.array([c.expiry_ns or 0 for c in contracts], np.int64),
        slot=np.array([_slot(c, u) for c, u in zip(contracts, units, strict=True)], np.int64),
        cash_column=np.array([_cash_column(c) for c in contracts], np.int64),
        shocks=np.array(shocks, np.float64).reshape(len(contracts), at.SHOCKS),
        extreme=np.array([rules.extreme_move.moves.of(g) for g in groups], np.float64),
        minimum_rate=np.array([rules.minimum_charge.rate.of(g) for g in groups], np.float64),
        option_rate=np.array([rules.minimum_charge.option_rate.of(g) for g in groups], np.float64),
    )


def rounded(
    table: StressTable, lots_per_contract: Floats, limit_lots: float | Floats
) -> RoundedStress:
    """Round the rows so that sums over an account are exact in any order.

    lots_per_contract: float64 (instruments,). limit_lots: the largest |position| + open orders of
    one account in one instrument, for all instruments or, better, for each (lots worth the same
    USD). The quantum is chosen per unit and column so that a full account stays below 2^52 quanta:
    an entry moves by at most 2^-52 x (sum over the unit of limit x |entry|).
    Source: design.md sections 3 and 5.
    """
    count, width = table.rows.shape
    units = len(table.units)
    limits = np.ascontiguousarray(np.broadcast_to(np.asarray(limit_lots, np.float64), count))
    out = RoundedStress(
        np.empty((count, width)),
        np.empty(count),
        np.empty(count),
        np.empty((units, width)),
        np.empty(units),
    )
    rows = StressRows(
        table.rows, table.mr7_long, table.mr7_short, table.mark, table.gamma, table.value
    )
    round_rows(rows, lots_per_contract, limits, table.unit_of, out)
    return out
