"""Risk units: which contracts and which spot share one margin, and their packed parameters.

Source: portfolio-margin.md sections 5.1, 16.12, 16.19.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from risk import layout as at
from risk.contracts import FUTURE, OPTION, SPOT, Contract
from risk.kernels import update_unit_params
from risk.rules import RuleSet

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Quote of the unit that holds the spot, per offset mode of the older rule sets.
_SPOT_QUOTES = {"usdt": "USDT", "usdc": "USDC", "coin": "USD"}


@dataclass(frozen=True, slots=True)
class UnitLayout:
    """One risk unit and how its stress vector is laid out.

    group: 0 K1, 1 K2, 2 K3. expiries_ns: ascending, of futures and options together; expiry e has
    the columns from EXPIRIES + 3 e. takes_spot: the base coin's spot is placed in this unit.
    """

    name: str
    base: str
    group: int
    expiries_ns: tuple[int, ...]
    has_options: bool
    takes_spot: bool

    @property
    def first_column(self) -> int:
        """First column in use: 0 with options, else FIRST_LINEAR."""
        return 0 if self.has_options else at.FIRST_LINEAR

    @property
    def width(self) -> int:
        """One past the last column in use."""
        return at.EXPIRIES + at.PER_EXPIRY * len(self.expiries_ns)


def unit_name(rules: RuleSet, contract: Contract, offset_mode: str | None = None) -> str:
    """Risk unit of a contract; a spot order belongs to the unit that holds its coin.

    "BTC" since the merge, "BTC-USDT" before. Where spot takes part in no unit (derivatives only),
    a spot order is listed under its pair.  Source: 5.1, 16.16.
    """
    if rules.risk_unit.grouping == "coin":
        return contract.base
    if contract.kind == SPOT:
        return spot_unit_name(rules, contract.base, offset_mode) or contract.pair
    return contract.pair


def spot_unit_name(rules: RuleSet, coin: str, offset_mode: str | None = None) -> str | None:
    """Risk unit in which a coin's spot is placed, None where it takes no part.  Source: 16.19."""
    mode = rules.offset_mode(offset_mode)
    if mode == "merged":
        return coin
    quote = _SPOT_QUOTES.get(mode)
    return None if quote is None else f"{coin}-{quote}"


def unit_layouts(
    contracts: Sequence[Contract], rules: RuleSet, offset_mode: str | None = None
) -> tuple[UnitLayout, ...]:
    """The risk units of the contracts, sorted by name."""
    members: dict[str, list[Contract]] = {}
    for contract in contracts:
        members.setdefault(unit_name(rules, contract, offset_mode), []).append(contract)
    layouts = []
    for name in sorted(members):
        base = members[name][0].base
        expiries = {
            c.expiry_ns
            for c in members[name]
            if c.kind in (FUTURE, OPTION) and c.expiry_ns is not None
        }
        layouts.append(
            UnitLayout(
                name=name,
                base=base,
                group=rules.group_of(base),
                expiries_ns=tuple(sorted(expiries)),
                has_options=any(c.kind == OPTION for c in members[name]),
                takes_spot=spot_unit_name(rules, base, offset_mode) == name,
            )
        )
    return tuple(layouts)


@dataclass(frozen=True, slots=True)
class UnitParams:
    """Packed parameters of several units, ready for the kernels.

    values: float64 (units, size), the columns U_* of `layout`, padded to the longest.
    `update` rewrites what depends on time and on the stablecoins.
    """

    rules: RuleSet
    values: Floats
    expiries_ns: Ints

    def update(self, time_ns: int, usd_usdt: float, usd_usdc: float) -> None:
        """Bring expiry rates and depegging factors to a new mark, in place.

        usd_usdt, usd_usdc: USD per unit of the stablecoin.  Source: 16.6, 16.7, 16.11.
        """
        pairs = np.array((usd_usdt, usd_usdt / usd_usdc, usd_usdc))
        volatility, prices, factors = shared_tables(self.rules)
        calm = self.rules.stablecoin_depeg.calm_price
        update_unit_params(
            self.values, self.expiries_ns, time_ns, pairs, volatility, calm, prices, factors
        )


@lru_cache(maxsize=64)
def shared_tables(rules: RuleSet) -> tuple[Floats, Floats, Floats]:
    """Volatility table (3, rows), depegging prices, depegging factors (tiers, 1 + prices)."""
    shock, peg = rules.spot_shock, rules.stablecoin_depeg
    volatility = np.array(
        (shock.volatility_days, shock.volatility_points, shock.volatility_percent)
    )
    factors = np.array([(calm, *row) for calm, row in zip(peg.calm, peg.factors, strict=True)])
    return volatility, np.array(peg.prices), factors


def signed_shocks(rules: RuleSet, group: int) -> tuple[float, ...]:
    """The seven MR1 shocks in the order of ties: 0, +a, -a, +b, -b, +c, -c.  Source: 16.4."""
    shocks = [0.0]
    for size in rules.spot_shock.shocks.of(group):
        shocks += [size, -size]
    return tuple(shocks)


def unit_params(rules: RuleSet, layouts: Sequence[UnitLayout]) -> UnitParams:
    """Pack the parameters of all units; call `update` before they are used."""
    rows = [_packed(rules, layout) for layout in layouts]
    size = max((row.size for row in rows), default=at.U_TIERS)
    values = np.zeros((len(rows), size))
    expiries = np.zeros(
        (len(rows), max((len(u.expiries_ns) for u in layouts), default=0)), np.int64
    )
    for number, (row, layout) in enumerate(zip(rows, layouts, strict=True)):
        values[number, : row.size] = row
        expiries[number, : len(layout.expiries_ns)] = layout.expiries_ns
    return UnitParams(rules, values, expiries)


def pack_unit_params(
    rules: RuleSet,
    layout: UnitLayout,
    time_ns: int,
    usd_usdt: float = 1.0,
    usd_usdc: float = 1.0,
) -> Floats:
    """Parameters of one unit at one mark: float64 (size,), the columns U_* of `layout`."""
    packed = unit_params(rules, (layout,))
    packed.update(time_ns, usd_usdt, usd_usdc)
    row: Floats = packed.values[0]
    return row


def _packed(rules: RuleSet, layout: UnitLayout) -> Floats:
    group, charge, peg = layout.group, rules.minimum_charge, rules.stablecoin_depeg
    multipliers = charge.multipliers.of(group)
    bounds = (*charge.bounds.of(group), np.inf)
    tiers = [x for pair in zip(bounds, multipliers, strict=True) for x in pair]
    peg_bounds = (*peg.bounds, np.inf) if peg.enabled else ()
    peg_from = at.U_TIERS + len(tiers)
    expiry_from = peg_from + len(peg_bounds) * (1 + at.PEG_PAIRS)
    row = np.zeros(expiry_from + at.PER_EXPIRY * len(layout.expiries_ns))
    row[at.U_FIRST_COLUMN] = layout.first_column
    row[at.U_EXPIRY_COUNT] = len(layout.expiries_ns)
    hedged = rules.basis.model == "hedged"
    row[at.U_BASIS_MODEL] = at.HEDGED_MODEL if hedged else at.BUCKET_MODEL
    row[at.U_EXTREME_FACTOR] = rules.extreme_move.factor
    row[at.U_VEGA_FACTOR] = rules.vega_term.factor
    row[at.U_INTEREST_SHIFT] = rules.interest_rate.shift.of(group)
    row[at.U_BASIS_RATE] = rules.basis.rate.of(group)
    row[at.U_BASIS_SPOT_RATE] = rules.basis.spot_rate.of(group)
    row[at.U_BASIS_ANNUAL] = rules.basis.annual.of(group)
    row[at.U_INITIAL_FACTOR] = rules.risk_unit.initial_margin_factor
    row[at.U_SHOCKS : at.U_SHOCKS + at.SHOCKS] = signed_shocks(rules, group)
    row[at.U_EXTREME_MOVE] = rules.extreme_move.moves.of(group)
    row[at.U_TIER_COUNT] = len(multipliers)
    row[at.U_PEG_COUNT] = len(peg_bounds)
    row[at.U_PEG_FROM] = peg_from
    row[at.U_EXPIRY_FROM] = expiry_from
    row[at.U_TAKES_SPOT] = float(layout.takes_spot)
    row[at.U_TIERS : peg_from] = tiers
    row[peg_from : peg_from + len(peg_bounds)] = peg_bounds
    return row
