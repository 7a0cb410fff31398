"""Prices and what follows from them: the arrays that the order kernels read, written once per mark.

Index and marks come in as integers (1e-8 of the quote; ticks) and leave as the stress table, the
terms of each instrument and the USD value of each currency. Nothing else in `accounts` sees a
float price.

Cost of `publish`: O(instruments x columns), one kernel call (`risk.mark_pass`).
Source: design.md sections 2, 3, 5; portfolio-margin.md section 16.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from accounts.option_terms import OptionTerms
from exchange.instrument import InstrumentKind
from exchange.units import atoms_per_unit
from risk import layout as at
from risk import order_tables as t
from risk.borrowing import borrow_arrays
from risk.collateral import discount_arrays
from risk.contracts import Contract, MarketSnapshot
from risk.instrument_terms import TermPlan
from risk.kernels import borrow_rates, discounted_value, unit_margin
from risk.mark_pass import Given, Listed, MarkPass, Written
from risk.stress import StressPlan

if TYPE_CHECKING:
    from exchange.instrument import Instrument
    from risk.rules import RuleSet

E8 = 100_000_000
YEAR_NS = 365 * 86_400 * 10**9
OFFSET_QUOTES = ("USDT", "USDC", "USD")  # spot orders against these count for spot in use (16.12)


def peg_jump(rules: RuleSet) -> float:
    """USD of a hedge between stablecoins from which its charge jumps at the calm price.

    The first tiers may have one factor on both sides of it.  Source: portfolio-margin.md 16.11.
    """
    peg, lower = rules.stablecoin_depeg, 0.0
    if not peg.enabled:
        return math.inf
    for k, calm in enumerate(peg.calm):
        depegged = np.interp(-peg.calm_price, -np.array(peg.prices), peg.factors[k])
        if depegged != calm:
            return lower
        lower = peg.bounds[k] if k < len(peg.bounds) else math.inf
    return math.inf


def contract_of(instrument: Instrument) -> Contract:
    """What margin has to know of an instrument."""
    value = Fraction(instrument.contract_value) * Fraction(instrument.contract_multiplier)
    return Contract(
        instrument.instrument_id,
        int(instrument.kind),
        instrument.base,
        instrument.quote,
        instrument.settle,
        instrument.inverse,
        float(value),
        instrument.expiry_ns,
        float(instrument.strike) if instrument.strike is not None else 0.0,
        instrument.option_type == "C",
        float(instrument.taker_fee_rate),
    )


class Market:
    """Instruments, currencies, risk units and their prices at one mark.

    usd_index_e8: USD per unit of each currency in 1e-8; index_e8: per pair in its quote;
    mark_ticks: int64 (instruments,); deltas: float64 (options,), |delta| of
    one coin's worth, 0 to 1. `version` counts the marks; it is 0 before the first. prices:
    float64, all that a margin may move with: the USD value of every currency; mark, index, forward
    and volatility of every instrument, one after another; the time as a price that grows by a
    relative delta in delta years. Forward and volatility are 0 for all but options, whose mark
    follows from them and is 0 here.
    """

    def __init__(
        self, instruments: Sequence[Instrument], rules: RuleSet, currencies: Sequence[str] = ()
    ) -> None:
        self.instruments_list = list(instruments)
        self.rules = rules
        self.contracts = [contract_of(instrument) for instrument in instruments]
        named = {c for i in instruments for c in (i.base, i.settle, i.quote)}
        self.currencies = sorted(named | set(currencies) | {"USD", "USDT", "USDC"})
        self.currency_number = {name: n for n, name in enumerate(self.currencies)}
        self.atoms = {name: atoms_per_unit(name) for name in self.currencies}
        self.scales = [1.0 / self.atoms[name] for name in self.currencies]
        self.plan = StressPlan.of(self.contracts, rules)
        self.options = OptionTerms(self.contracts, rules)
        self.unit_names = [unit.name for unit in self.plan.units]
        self.unit_base = [self.currency_number[unit.base] for unit in self.plan.units]
        number_of = {unit.base: n for n, unit in enumerate(self.plan.units) if unit.takes_spot}
        self.unit_of = [number_of.get(name, t.NONE) for name in self.currencies]
        linear = all(unit.first_column == at.FIRST_LINEAR for unit in self.plan.units)
        self.first_column = at.FIRST_LINEAR if linear else 0
        self.full_width = self.plan.width
        self.width = self.full_width - self.first_column
        self.unit_from = [unit.first_column - self.first_column for unit in self.plan.units]
        self.version = 0
        self.time_ns = -(10**18)
        self.usd: dict[str, float] = {"USD": 1.0}
        self.usd_index_e8: dict[str, int] = {"USD": E8}
        self.index_e8: dict[str, int] = {}
        self._static()

    def _static(self) -> None:
        """Arrays that the kernels read."""
        instruments, number = self.instruments_list, self.currency_number
        count = len(instruments)
        self.instruments = np.zeros((count, t.INSTRUMENT_COLUMNS), np.int64)
        self.terms = np.zeros((count, t.TERM_COLUMNS))
        self.stress = np.zeros((count, self.width))
        self.unit_terms = self.plan.params.values
        self.currency_terms = np.zeros((len(self.currencies), t.CURRENCY_TERMS))
        self.rule_terms = np.zeros(t.RULE_TERMS)
        self.prices = np.zeros(len(self.currencies) + 4 * count + 1)
        self.rule_terms[t.R_FIRST_COLUMN] = self.first_column
        self.rule_terms[t.R_SPOT_FEE] = self.rules.fees.liquidation_borrow
        control = self.rules.liquidation
        self.rule_terms[t.R_WARNING : t.R_START + 1] = (
            control.warning_ratio,
            control.order_control,
            control.start_ratio,
        )
        self.rule_terms[t.R_PEG_JUMP] = peg_jump(self.rules)
        tiers = self.rules.position_tiers
        self.default_leverage = tiers.default_leverage
        self.rule_terms[t.R_INITIAL_FACTOR] = tiers.initial_factor
        self.discounts = discount_arrays(self.rules, self.currencies)
        self.loans = borrow_arrays(self.rules, self.currencies)
        for row, name in enumerate(self.currencies):
            self.currency_terms[row, t.K_SCALE] = self.scales[row]
            self.currency_terms[row, t.K_BORROW_LIMIT] = self.rules.borrow_limit(name)
        for row, i in enumerate(instruments):
            spot = i.kind == InstrumentKind.SPOT
            per_lot = Fraction(i.lot) * atoms_per_unit(i.base) if spot else 0
            self.instruments[row] = (
                self.plan.unit_of[row],
                number[i.settle],
                number[i.base],
                int(i.kind),
                -1 if i.option_type == "P" else 1,
                int(spot and i.quote in OFFSET_QUOTES),
                int(i.inverse),
                int(per_lot),
                i.position_limit_lots,
            )
            self.terms[row, t.M_RATE] = float(Fraction(i.value_numerator, i.value_denominator))
            group = self.rules.group_of(i.base)
            self.terms[row, t.M_TIER : t.M_TIER_STEP + 1] = (
                tiers.notional.of(group),
                tiers.maintenance.of(group),
                tiers.maintenance_step.of(group),
            )
        self.unit_of_instrument: list[int] = self.plan.unit_of.tolist()
        self.instruments_of_unit: list[list[int]] = [[] for _ in self.plan.units]
        for row, unit in enumerate(self.unit_of_instrument):
            self.instruments_of_unit[unit].append(row)
        self._vectors()

    def _vectors(self) -> None:
        """Vectors that turn prices into the arrays that the kernels read."""
        instruments, number = self.instruments_list, self.currency_number
        self._tick = np.array([float(i.tick) for i in instruments])
        self._quote = np.array([number[i.quote] for i in instruments], np.int64)
        self._units_per_lot = np.array([float(i.units_per_lot) for i in instruments])
        terms = TermPlan(
            self.instruments[:, t.I_KIND].copy(),
            self.instruments[:, t.I_INVERSE].copy(),
            self.instruments[:, t.I_SETTLE].copy(),
            self.instruments[:, t.I_BASE].copy(),
            self._tick,
            self._units_per_lot,
            np.array([float(i.taker_fee_rate) for i in instruments]),
            np.array([self.scales[number[i.settle]] for i in instruments]),
            self.rules.fees.option_cap * self._tick * self._units_per_lot,
        )
        self._families = sorted({i.family for i in instruments})
        options = self.options
        listed = Listed(
            self._quote,
            np.array([self._families.index(i.family) for i in instruments], np.int64),
            np.array([1.0 / float(i.lot) for i in instruments]),
            np.array([float(i.position_limit_lots) for i in instruments]),
            options.rows,
            options.forward_of,
            options.future_of,
            options.maintenance,
        )
        self._given = Given(
            np.zeros(len(self.currencies)),
            np.zeros(len(instruments), np.int64),
            np.zeros(len(self._families)),
            np.zeros(len(options.forward_names)),
            np.zeros(len(options.names)),
        )
        self.mark_ticks = self._given.mark_ticks
        self.deltas = np.zeros(len(options.names))
        self._pass = MarkPass.of(
            self.plan,
            terms,
            listed,
            self._given,
            Written(
                self.stress,
                self.terms,
                self.currency_terms,
                self.rule_terms,
                self.prices,
                self.deltas,
            ),
            self.first_column,
            (number["USDT"], number["USDC"]),
        )

    def publish(
        self,
        time_ns: int,
        usd_index_e8: Mapping[str, int],
        index_e8: Mapping[str, int],
        mark_ticks: Sequence[int],
        *,
        implied_vol: Mapping[str, float] | None = None,
        forward: Mapping[str, float] | None = None,
    ) -> None:
        """Take the prices of one moment and write every array that depends on them.

        usd_index_e8 names every currency but USD; index_e8 the pairs that are not usd(base) /
        usd(quote); mark_ticks are ignored for spot and options (an option's mark follows from its
        volatility). Raises MarketDataError for a price that is missing or not positive.
        """
        self.time_ns = time_ns
        self.version += 1
        self.rule_terms[t.R_VERSION] = self.version
        self.usd_index_e8 = {"USD": E8, **usd_index_e8}
        self.index_e8 = dict(index_e8)
        self.usd = {name: atoms / E8 for name, atoms in self.usd_index_e8.items()}
        self._implied_vol = dict(implied_vol or {})
        self._forward = dict(forward or {})
        given = self._given
        given.usd[:] = [self.usd[name] for name in self.currencies]
        given.mark_ticks[:] = mark_ticks
        pairs = map(self.index_e8.get, self._families)
        given.pairs[:] = [nan if price is None else price / E8 for price in pairs]
        if self.options.names:
            given.forwards[:] = self.options.forwards(self._forward)
            given.volatilities[:] = self.options.volatilities(self._implied_vol)
        self._pass.write(time_ns, math.exp(time_ns / YEAR_NS))

    def snapshot(self) -> MarketSnapshot:
        """The same prices for the unrounded margin report."""
        marks = {
            instrument.instrument_id: float(ticks * tick)
            for instrument, ticks, tick in zip(
                self.instruments_list,
                self.mark_ticks.tolist(),
                self._tick.tolist(),
                strict=True,
            )
            if instrument.kind in (InstrumentKind.PERPETUAL, InstrumentKind.FUTURE)
        }
        index = {pair: price / E8 for pair, price in self.index_e8.items()}
        return MarketSnapshot(
            self.time_ns, self.usd, index, marks, self._implied_vol, self._forward
        )

    def absolute_delta(self, number: int) -> float:
        """|delta| of one coin's worth of an option, 0 to 1. O(1)."""
        coins = self.stress[number, at.COIN_DELTA - self.first_column]
        return float(abs(coins) / self._units_per_lot[number])

    def discount_rate(self, currency: str, atoms: int) -> float:
        """Average discount rate of a positive balance: what of each unit counts as margin."""
        if atoms <= 0:
            return 1.0
        number = self.currency_number[currency]
        coins = atoms * self.scales[number]
        return float(discounted_value(self.discounts[number], coins)) / coins

    def lone_maintenance_rate(self, number: int, usd: float) -> float:
        """Maintenance margin over notional of a lone position of `usd` in one instrument.

        Spot: what the coin's discount and the borrowing of its whole price take.
        """
        instrument = self.instruments_list[number]
        if instrument.kind == InstrumentKind.SPOT:
            base, quote = self.currency_number[instrument.base], self._quote[number]
            coins = usd / self.usd[instrument.base]
            discount = 1.0 - float(discounted_value(self.discounts[base], coins)) / coins
            owed = usd / self.usd[instrument.quote]
            return discount + float(borrow_rates(self.loans[quote], owed)[0])
        lots = usd / max(float(self.terms[number, t.M_USD]), 1e-300)
        vector = np.zeros(self.full_width)
        vector[self.first_column :] = lots * self.stress[number]
        out = np.zeros(at.OUT_SIZE)
        rate = self.terms[number, t.M_MR7_LONG if usd > 0 else t.M_MR7_SHORT]
        unit = int(self.instruments[number, t.I_UNIT])
        unit_margin(vector, abs(lots) * float(rate), 0.0, 1.0, self.unit_terms[unit], out)
        return float(out[at.OUT_MMR]) / abs(usd)

    def slippage_rate(self, number: int) -> float:
        """The MR7 rate of an instrument's group: the first slippage limit of a forced order."""
        if self.instruments[number, t.I_KIND] == t.OPTION:
            return float(self.plan.terms.option_rate[number])
        return float(self.plan.terms.minimum_rate[number])
