"""Everything that the prices of one mark decide about the instruments, in one kernel call.

A market has few instruments, so what a mark costs is not arithmetic but calls, and arrays to unpack
for them. So a kernel is given one int64 array, named m, as the order kernels are (`order_views`):
sizes first, then the address of every array of the pass. `MarkPass` owns the arrays and fills m;
the kernels `_..._of` are the other side of it and take them in the same order.

Source: portfolio-margin.md 11.8, 16.1 to 16.14.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numba import carray, njit  # type: ignore[attr-defined]
from numpy.typing import NDArray

from risk import layout as at
from risk import order_tables as t
from risk.instrument_terms import TermPlan, write_prices, write_terms
from risk.kernels import update_unit_params
from risk.option_slopes import write_option_slopes
from risk.order_views import floats_at, ints_at
from risk.risk_unit import shared_tables
from risk.stress import StressPlan
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

_COUNT: Final = 0  # instruments
_WIDTH: Final = 1  # columns of `layout`
_FIRST: Final = 2  # the first of them that the market's stress table has
_UNITS: Final = 3
_PARAMS: Final = 4  # numbers per unit
_EXPIRIES: Final = 5  # per unit, at most
_CURRENCIES: Final = 6
_USDT: Final = 7  # number of the currency
_USDC: Final = 8
_PAIRS: Final = 9
_OPTIONS: Final = 10
_FORWARDS: Final = 11
_DAYS: Final = 12  # columns of the volatility table
_PEG_TIERS: Final = 13
_PEG_PRICES: Final = 14
_SIZES: Final = 15

_VOLATILITY_FLOOR: Final = 0
_PRICE_FLOOR: Final = 1
_DECAY: Final = 2
_CALM: Final = 3
_SHORT_FLOOR: Final = 4
_SHORT_INITIAL: Final = 5
_SHORT_FACTOR: Final = 6


class Given(NamedTuple):
    """What the caller writes before each pass.

    usd: float64 (currencies,), USD per coin. mark_ticks: int64 (instruments,), ignored for spot;
    those of options are written. pairs: float64 (pairs,), index in the quote, nan: usd over usd.
    forwards: float64 (forward names,), USD, nan: the future of that name, else the index.
    volatilities: float64 (options,), a fraction a year.
    """

    usd: Floats
    mark_ticks: Ints
    pairs: Floats
    forwards: Floats
    volatilities: Floats


class Written(NamedTuple):
    """The market's tables: see `order_tables` for the columns.

    stress: float64 (instruments, width), from column `first` of `layout` on; terms: (instruments,
    M_*); currency_terms: (currencies, K_*); rule_terms: (R_*,); prices: of `write_prices`;
    deltas: float64 (options,), |delta| of one coin's worth, 0 to 1.
    """

    stress: Floats
    terms: Floats
    currency_terms: Floats
    rule_terms: Floats
    prices: Floats
    deltas: Floats


class Listed(NamedTuple):
    """What does not change: of instruments (quote, pair: numbers; lots_per_contract, limits), then
    of options (their instrument, its forward's and future's number or -1, `maintenance` of a short
    one, coins per coin)."""

    quote: Ints
    pair: Ints
    lots_per_contract: Floats
    limits: Floats
    option: Ints
    forward: Ints
    future: Ints
    maintenance: Floats


@dataclass(frozen=True, slots=True)
class MarkPass:
    """The arrays of one market, and their addresses. They never move."""

    given: Given
    m: Ints
    kept: tuple[Any, ...]

    @classmethod
    def of(
        cls,
        plan: StressPlan,
        terms: TermPlan,
        listed: Listed,
        given: Given,
        written: Written,
        first_column: int,
        stablecoins: Sequence[int],
    ) -> MarkPass:
        """Make the arrays between what is given and what is written.

        first_column: of `layout`, where `written.stress` begins; stablecoins: the numbers of USDT
        and USDC.
        """
        rules, count, units = plan.rules, len(plan.contracts), len(plan.units)
        volatility, peg_prices, peg_factors = shared_tables(rules)
        peg_factors = peg_factors.reshape(-1, 1 + peg_prices.size)  # where a rule set has none
        shared = plan.shared_rules()
        short = rules.short_option
        numbers = np.array((
            shared.volatility_floor, shared.price_floor, shared.decay_years,
            rules.stablecoin_depeg.calm_price,
            short.initial_floor, short.initial, short.factor,
        ))  # fmt: skip
        prices = StressPrices(*np.full((6, count), np.nan))
        rows = StressRows(np.zeros((count, plan.width)), *np.zeros((5, count)))
        lots = RoundedStress(
            np.zeros((count, plan.width)), np.zeros(count), np.zeros(count),
            np.zeros((units, plan.width)), np.zeros(units),
        )  # fmt: skip
        sizes = (
            count, plan.width, first_column, units, plan.params.values.shape[1],
            plan.params.expiries_ns.shape[1], given.usd.size, *stablecoins, given.pairs.size,
            listed.option.size, given.forwards.size,
            volatility.shape[1], peg_factors.shape[0], peg_prices.size,
        )  # fmt: skip
        params = (plan.params.values, plan.params.expiries_ns, plan.unit_of)
        tables = (numbers, volatility, peg_prices, peg_factors)
        kept = (
            *plan.terms, *terms, *listed, *given, *prices, *rows, *lots, *params, *tables, *written
        )  # fmt: skip
        for array in kept:
            assert array.flags.c_contiguous and array.dtype in (np.int64, np.float64), array.dtype
        return cls(
            given, np.array((*sizes, *(array.ctypes.data for array in kept)), np.int64), kept
        )

    def write(self, time_ns: int, clock: float) -> None:
        """Write all tables from what is given. O(instruments x cells). clock: of `write_prices`."""
        _write(time_ns, clock, self.m)


_TERMS: Final = _SIZES
_PLAN: Final = _TERMS + len(InstrumentTerms._fields)
_LISTED: Final = _PLAN + len(TermPlan._fields)
_GIVEN: Final = _LISTED + len(Listed._fields)
_PRICES: Final = _GIVEN + len(Given._fields)
_ROWS: Final = _PRICES + len(StressPrices._fields)
_LOTS: Final = _ROWS + len(StressRows._fields)
_UNIT: Final = _LOTS + len(RoundedStress._fields)
_TABLES: Final = _UNIT + 3
_WRITTEN: Final = _TABLES + 4


@njit(cache=True, forceinline=True)
def _ints(m: Ints, slot: int, size: int) -> Ints:
    return carray(ints_at(m[slot]), (size,))


@njit(cache=True, forceinline=True)
def _floats(m: Ints, slot: int, size: int) -> Floats:
    return carray(floats_at(m[slot]), (size,))


@njit(cache=True, forceinline=True)
def _table(m: Ints, slot: int, rows: int, columns: int) -> Floats:
    return carray(floats_at(m[slot]), (rows, columns))


@njit(cache=True, forceinline=True)
def _terms_of(m: Ints) -> InstrumentTerms:
    n, k = m[_COUNT], _TERMS
    return InstrumentTerms(
        _ints(m, k, n), _ints(m, k + 1, n), _floats(m, k + 2, n), _floats(m, k + 3, n),
        _ints(m, k + 4, n), _ints(m, k + 5, n), _ints(m, k + 6, n), _ints(m, k + 7, n),
        _table(m, k + 8, n, at.SHOCKS), _floats(m, k + 9, n), _floats(m, k + 10, n),
        _floats(m, k + 11, n),
    )  # fmt: skip


@njit(cache=True, forceinline=True)
def _plan_of(m: Ints) -> TermPlan:
    n, k = m[_COUNT], _PLAN
    return TermPlan(
        _ints(m, k, n), _ints(m, k + 1, n), _ints(m, k + 2, n), _ints(m, k + 3, n),
        _floats(m, k + 4, n), _floats(m, k + 5, n), _floats(m, k + 6, n), _floats(m, k + 7, n),
        _floats(m, k + 8, n),
    )  # fmt: skip


@njit(cache=True, forceinline=True)
def _listed_of(m: Ints) -> Listed:
    n, options, k = m[_COUNT], m[_OPTIONS], _LISTED
    return Listed(
        _ints(m, k, n), _ints(m, k + 1, n), _floats(m, k + 2, n), _floats(m, k + 3, n),
        _ints(m, k + 4, options), _ints(m, k + 5, options), _ints(m, k + 6, options),
        _floats(m, k + 7, options),
    )  # fmt: skip


@njit(cache=True, forceinline=True)
def _given_of(m: Ints) -> Given:
    k = _GIVEN
    return Given(
        _floats(m, k, m[_CURRENCIES]), _ints(m, k + 1, m[_COUNT]), _floats(m, k + 2, m[_PAIRS]),
        _floats(m, k + 3, m[_FORWARDS]), _floats(m, k + 4, m[_OPTIONS]),
    )  # fmt: skip


@njit(cache=True, forceinline=True)
def _prices_of(m: Ints) -> StressPrices:
    n, k = m[_COUNT], _PRICES
    return StressPrices(
        _floats(m, k, n), _floats(m, k + 1, n), _floats(m, k + 2, n), _floats(m, k + 3, n),
        _floats(m, k + 4, n), _floats(m, k + 5, n),
    )  # fmt: skip


@njit(cache=True, forceinline=True)
def _rows_of(m: Ints) -> StressRows:
    n, k = m[_COUNT], _ROWS
    return StressRows(
        _table(m, k, n, m[_WIDTH]), _floats(m, k + 1, n), _floats(m, k + 2, n),
        _floats(m, k + 3, n), _floats(m, k + 4, n), _floats(m, k + 5, n),
    )  # fmt: skip


@njit(cache=True, forceinline=True)
def _lots_of(m: Ints) -> RoundedStress:
    n, units, width, k = m[_COUNT], m[_UNITS], m[_WIDTH], _LOTS
    return RoundedStress(
        _table(m, k, n, width), _floats(m, k + 1, n), _floats(m, k + 2, n),
        _table(m, k + 3, units, width), _floats(m, k + 4, units),
    )  # fmt: skip


@njit(cache=True, forceinline=True)
def _written_of(m: Ints) -> Written:
    n, currencies, k = m[_COUNT], m[_CURRENCIES], _WRITTEN
    return Written(
        _table(m, k, n, m[_WIDTH] - m[_FIRST]), _table(m, k + 1, n, t.TERM_COLUMNS),
        _table(m, k + 2, currencies, t.CURRENCY_TERMS), _floats(m, k + 3, t.RULE_TERMS),
        _floats(m, k + 4, currencies + 4 * n + 1), _floats(m, k + 5, m[_OPTIONS]),
    )  # fmt: skip


@njit(cache=True)
def _spread(given: Given, plan: TermPlan, listed: Listed, prices: StressPrices) -> None:
    """The prices of each instrument from those that are given. Source: 16.1."""
    for i in range(plan.kind.size):
        base, quote = given.usd[plan.base[i]], given.usd[listed.quote[i]]
        index = given.pairs[listed.pair[i]]
        if np.isnan(index):
            index = base / quote
        prices.usd_base[i], prices.usd_quote[i], prices.pair_index[i] = base, quote, index
        mark = given.mark_ticks[i] * plan.tick[i]
        prices.mark[i] = index if plan.kind[i] == t.SPOT else mark
    for n in range(listed.option.size):
        i, future = listed.option[n], listed.future[n]
        forward = given.forwards[listed.forward[n]]
        if np.isnan(forward):
            forward = prices.mark[future] if future >= 0 else prices.usd_base[i]
        prices.forward[i], prices.volatility[i] = forward, given.volatilities[n]
        prices.mark[i] = np.nan  # follows from the volatility


@njit(cache=True)
def _peg_reach(usdt: float, usdc: float, calm: float) -> float:
    """How far all prices may move before a pair of stablecoins crosses the calm price."""
    nearest = np.inf
    for price in (usdt, usdt / usdc, usdc):
        nearest = min(nearest, abs(min(price, 1.0 / price) / calm - 1.0))
    return nearest / 2.2  # the two sides of a pair may move apart


@njit(cache=True)
def _write_options(
    given: Given,
    listed: Listed,
    terms: InstrumentTerms,
    plan: TermPlan,
    prices: StressPrices,
    mark: Floats,
    numbers: Floats,
    coin_delta: Floats,
    out: Written,
) -> None:
    """The marks of options in ticks, their deltas, and the margin of a short one: section 11.8."""
    for n in range(listed.option.size):
        i = listed.option[n]
        forward, strike = prices.forward[i], terms.strike[i]
        given.mark_ticks[i] = int(max(1.0, np.rint(out.terms[i, t.M_REFERENCE])))
        maintenance = listed.maintenance[n]
        if terms.is_call[i] == 1:
            otm = max(0.0, strike - forward)
        else:
            otm = max(0.0, forward - strike)
            maintenance = max(maintenance, maintenance * mark[i])
        initial = max(numbers[_SHORT_FLOOR], numbers[_SHORT_INITIAL] - otm / forward)
        factor, notional = numbers[_SHORT_FACTOR], out.terms[i, t.M_NOTIONAL]
        out.terms[i, t.M_SHORT_INITIAL] = notional * (initial * factor + mark[i])
        out.terms[i, t.M_SHORT_MAINTENANCE] = notional * (maintenance * factor + mark[i])
        out.deltas[n] = abs(coin_delta[i]) / plan.units_per_lot[i]


@njit(cache=True)
def _write(time_ns: int, clock: float, m: Ints) -> None:
    """Write all tables of a mark; see `MarkPass.write`."""
    terms, plan, listed, given = _terms_of(m), _plan_of(m), _listed_of(m), _given_of(m)
    prices, rows, lots, out = _prices_of(m), _rows_of(m), _lots_of(m), _written_of(m)
    params = _table(m, _UNIT, m[_UNITS], m[_PARAMS])
    expiries_ns = carray(ints_at(m[_UNIT + 1]), (m[_UNITS], m[_EXPIRIES]))
    unit_of, numbers = _ints(m, _UNIT + 2, m[_COUNT]), _floats(m, _TABLES, _SHORT_FACTOR + 1)
    volatility = _table(m, _TABLES + 1, 3, m[_DAYS])
    peg_prices = _floats(m, _TABLES + 2, m[_PEG_PRICES])
    peg_factors = _table(m, _TABLES + 3, m[_PEG_TIERS], 1 + m[_PEG_PRICES])
    usd, calm = given.usd, numbers[_CALM]
    rules = StressRules(
        volatility, numbers[_VOLATILITY_FLOOR], numbers[_PRICE_FLOOR], numbers[_DECAY]
    )
    _spread(given, plan, listed, prices)
    stress_rows(terms, prices, rules, time_ns, rows)
    usdt, usdc = usd[m[_USDT]], usd[m[_USDC]]
    pairs = np.array((usdt, usdt / usdc, usdc))
    update_unit_params(
        params, expiries_ns, time_ns, pairs, volatility, calm, peg_prices, peg_factors
    )
    round_rows(rows, listed.lots_per_contract, listed.limits, unit_of, lots)
    out.stress[:] = lots.rows[:, m[_FIRST] :]
    out.currency_terms[:, t.K_USD] = usd
    out.rule_terms[t.R_PEG_REACH] = _peg_reach(usdt, usdc, calm)
    write_terms(plan, rows.mark, lots.mr7_long, lots.mr7_short, usd, out.terms)
    write_prices(plan, prices, clock, usd, out.terms, out.prices)
    if listed.option.size > 0:
        coin_delta = lots.rows[:, at.COIN_DELTA]
        _write_options(given, listed, terms, plan, prices, rows.mark, numbers, coin_delta, out)
        write_option_slopes(
            listed.option, listed.lots_per_contract, terms, prices, rules, params, unit_of, time_ns,
            out.terms,
        )  # fmt: skip
