"""The report of one risk unit: its vector, the four fill sets, the cells that decide.

Source: portfolio-margin.md sections 6, 16.3 to 16.12.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from risk import layout as at
from risk.contracts import SPOT, expiry_code
from risk.kernels import raw_charge, spot_in_use, unit_margin, weighted_rows
from risk.portfolio import PositionInput
from risk.report import COMPONENTS, FILL_SETS, FillSetMargin, RiskUnitReport, WorstCell
from risk.risk_unit import UnitLayout, unit_name
from risk.valuation import (
    SET_HAS_BUYS,
    SET_HAS_SELLS,
    Valuation,
    adds_delta,
    position_line,
    position_upl_usd,
)

Floats = NDArray[np.float64]

# Quotes whose spot orders move the coin of a risk unit (16.12).
SPOT_ORDER_QUOTES = ("USDT", "USDC", "USD")


@dataclass(frozen=True, slots=True)
class _SetResult:
    """One fill set: the kernel's components, the vector and the spot in use (coins)."""

    out: Floats
    vector: Floats
    use: float
    mr7_raw: float


def unit_report(valuation: Valuation, number: int, borrow_mmr: float) -> RiskUnitReport:
    """The report of unit `number` of the stress table; borrow_mmr is the account's MR8."""
    unit = valuation.table.units[number]
    results = _fill_sets(valuation, number)
    positions = results[0]
    largest = max(range(len(FILL_SETS)), key=lambda s: (results[s].out[at.OUT_MMR], -s))
    factor = valuation.rules.risk_unit.initial_margin_factor
    parts = _components(positions.out, borrow_mmr)
    held = sorted(_held(valuation, unit), key=lambda p: p.contract.instrument_id)
    lines = tuple(position_line(valuation, position) for position in held)
    scenarios, final, extremes, extreme_final = _cells(valuation, number, positions)
    return RiskUnitReport(
        risk_unit=unit.name,
        base=unit.base,
        mmr=float(positions.out[at.OUT_MMR]),
        imr=factor * float(results[largest].out[at.OUT_MMR]),
        upl=math.fsum(position_upl_usd(valuation, position) for position in held),
        **parts,
        mr1_scenarios=scenarios,
        mr1_final=final,
        mr6_scenarios=extremes,
        mr6_final=extreme_final,
        delta=float(positions.vector[at.USD_DELTA]),
        gamma=math.fsum(line.gamma for line in lines),
        theta=float(positions.vector[at.THETA]),
        vega=math.fsum(line.vega for line in lines),
        portfolios=lines,
        binding=_binding(positions.out),
        mr7_raw=positions.mr7_raw,
        spot_in_use=positions.use,
        mmr_without_spot=_without_spot(valuation, number, positions),
        coin_delta=float(positions.vector[at.COIN_DELTA]),
        fill_sets=tuple(
            FillSetMargin(name, float(r.out[at.OUT_MMR]), _components(r.out, 0.0), r.use)
            for name, r in zip(FILL_SETS, results, strict=True)
        ),
        binding_set=FILL_SETS[largest],
        cash_deltas=_cash_deltas(positions.vector),
        tenor_deltas=_tenor_deltas(unit, positions.vector),
    )


def _held(valuation: Valuation, unit: UnitLayout) -> list[PositionInput]:
    mode = valuation.portfolio.offset_mode
    rules = valuation.rules
    positions = valuation.portfolio.positions
    return [p for p in positions if unit_name(rules, p.contract, mode) == unit.name]


def _fill_sets(valuation: Valuation, number: int) -> tuple[_SetResult, ...]:
    """Margin of the unit after each of FILL_SETS; fills net per instrument.  Source: 16.12."""
    table, unit = valuation.table, valuation.table.units[number]
    rows = np.flatnonzero(table.unit_of == number)
    local = {table.contracts[row].instrument_id: k for k, row in enumerate(rows)}
    held, buys, sells = np.zeros((3, rows.size))
    for position in valuation.portfolio.positions:
        k = local.get(position.contract.instrument_id)
        if k is not None:
            held[k] = position.size
    for order in valuation.portfolio.orders:
        k = local.get(order.contract.instrument_id)
        if k is not None and order.contract.kind != SPOT:
            (buys if adds_delta(order) else sells)[k] += order.size
    coins = _spot_coins(valuation, unit)
    stress = np.ascontiguousarray(table.rows[rows])
    charges = table.mr7_long[rows], table.mr7_short[rows]
    results = []
    for s in range(len(FILL_SETS)):
        sizes = held + buys * SET_HAS_BUYS[s] + sells * SET_HAS_SELLS[s]
        results.append(_set_result(valuation, number, sizes, stress, charges, coins[s]))
    return tuple(results)


def _set_result(
    valuation: Valuation,
    number: int,
    sizes: Floats,
    stress: Floats,
    charges: tuple[Floats, Floats],
    coins: float,
) -> _SetResult:
    unit = valuation.table.units[number]
    vector = weighted_rows(sizes, stress)
    raw = raw_charge(sizes, *charges)
    use = 0.0
    if unit.takes_spot:
        cap = valuation.portfolio.spot_offset.get(unit.base, math.inf)
        use = spot_in_use(float(vector[at.COIN_DELTA]), coins, cap)
    out = np.zeros(at.OUT_SIZE)
    params = valuation.table.unit_params[number]
    unit_margin(vector, raw, use, valuation.usd[unit.base], params, out)
    return _SetResult(out, vector, use, raw)


def _spot_coins(valuation: Valuation, unit: UnitLayout) -> tuple[float, ...]:
    """eqS per fill set: cash and coin-settled P&L; only spot orders change it.  Source: 16.3."""
    base = unit.base
    held = valuation.cash.get(base, 0.0) + valuation.upl.get(base, 0.0)
    buys = sells = 0.0
    for order in valuation.portfolio.orders:
        contract = order.contract
        if contract.kind != SPOT or contract.base != base:
            continue
        if contract.quote in SPOT_ORDER_QUOTES:
            if order.size > 0.0:
                buys += order.size
            else:
                sells += order.size
    return held, held + buys, held + sells, held + buys + sells


def _components(out: Floats, borrow_mmr: float) -> dict[str, float]:
    parts = {name: float(out[k]) for k, name in enumerate(COMPONENTS)}
    parts["mr8"] = borrow_mmr
    return parts


def _binding(out: Floats) -> str:
    """The component that sets the unit's maintenance margin."""
    if out[at.OUT_MMR] == 0.0:
        return ""
    largest = max(out[at.OUT_MR1], out[at.OUT_MR2], out[at.OUT_MR6])
    rest = out[at.OUT_MR3] + out[at.OUT_MR4] + out[at.OUT_MR5] + out[at.OUT_MR9]
    if out[at.OUT_MR7] > largest + rest:
        return "mr7"
    return next(name for name in ("mr1", "mr2", "mr6") if out[COMPONENTS.index(name)] == largest)


def _without_spot(valuation: Valuation, number: int, positions: _SetResult) -> float:
    out = np.zeros(at.OUT_SIZE)
    params = valuation.table.unit_params[number]
    usd = valuation.usd[valuation.table.units[number].base]
    unit_margin(positions.vector, positions.mr7_raw, 0.0, usd, params, out)
    return float(out[at.OUT_MMR])


def _shock_key(shock: float) -> str:
    """Shock as OKX writes it: "0", "0.04", "-0.12"."""
    return f"{shock:.10g}" if shock else "0"


def _cells(
    valuation: Valuation, number: int, positions: _SetResult
) -> tuple[Mapping[str, dict[str, float]], WorstCell, dict[str, float], WorstCell]:
    """MR1 and MR6 cells with spot in use, and the worst of each.  Source: 16.4, 16.9."""
    params, unit = valuation.table.unit_params[number], valuation.table.units[number]
    spot_usd = positions.use * valuation.usd[unit.base]
    vector = positions.vector
    shocks = params[at.U_SHOCKS : at.U_SHOCKS + at.SHOCKS]
    moves = spot_usd * shocks

    def state(column: int) -> Floats:
        cells: Floats = vector[column : column + at.SHOCKS] + moves
        return cells

    same = state(at.SAME)
    up = down = same
    if unit.has_options:
        up = np.minimum(state(at.UP_POINTS), state(at.UP_PERCENT))
        down = np.minimum(state(at.DOWN_POINTS), state(at.DOWN_PERCENT))
    keys = [_shock_key(float(shock)) for shock in shocks]
    scenarios = {
        name: dict(zip(keys, (cells + 0.0).tolist(), strict=True))
        for name, cells in (("volSame", same), ("volShockUp", up), ("volShockDown", down))
    }
    # Strict comparison: ties stay with the earlier state and the earlier shock.
    final = WorstCell(math.inf, "0", "up")
    for name, cells in (("up", up), ("unchange", same), ("down", down)):
        for key, pnl in zip(keys, cells.tolist(), strict=True):
            if pnl < final.pnl:
                final = WorstCell(pnl + 0.0, key, name)
    move = float(params[at.U_EXTREME_MOVE])
    high = float(vector[at.EXTREME_UP]) + spot_usd * move + 0.0
    low = float(vector[at.EXTREME_DOWN]) - spot_usd * move + 0.0
    extremes = {_shock_key(move): high, _shock_key(-move): low}
    worst = move if high <= low else -move
    return scenarios, final, extremes, WorstCell(min(high, low), _shock_key(worst))


def _cash_deltas(vector: Floats) -> dict[str, float]:
    columns = (at.CASH_USDT, at.CASH_USDC, at.CASH_USD)
    return {q: float(vector[c]) for q, c in zip(at.CASH_QUOTES, columns, strict=True)}


def _tenor_deltas(unit: UnitLayout, vector: Floats) -> dict[str, float]:
    deltas = {"perpetual": float(vector[at.PERPETUALS])}
    for e, expiry_ns in enumerate(unit.expiries_ns):
        column = at.EXPIRIES + at.PER_EXPIRY * e + at.EXPIRY_DELTA
        deltas[expiry_code(expiry_ns)] = float(vector[column])
    return deltas
