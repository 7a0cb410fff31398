"""A margin report in words: the account's state, what binds, the worst case and why.

Source: portfolio-margin.md sections 6, 10; liquidation-and-losses.md section 1.
"""

from __future__ import annotations

from collections.abc import Mapping

from risk.margin import MarginReport, PositionLine, RiskUnitReport
from risk.rules import RuleSet
from scenarios.formats import coins, percent, plural, ratio, signed_percent, signed_usd, usd

COMPONENT_NAMES = {
    "mr1": "price and volatility",
    "mr2": "time decay of a day",
    "mr3": "volatility between expiries",
    "mr4": "basis between tenors",
    "mr5": "interest rates",
    "mr6": "extreme move, half",
    "mr7": "minimum charge",
    "mr9": "stablecoin depeg",
}


def state_words(report: MarginReport, rules: RuleSet) -> tuple[str, str]:
    """The account's state and the sentence that says why."""
    limits, value = rules.liquidation, report.margin_ratio
    shown = f"the margin ratio is {ratio(value)}"
    if value <= limits.start_ratio:
        return "LIQUIDATION", f"{shown}, at or below {percent(limits.start_ratio)}"
    if report.eq < limits.order_control * report.total_imr:
        share = report.eq / report.total_imr
        return (
            "ORDER CONTROL",
            f"equity is {percent(share)} of the initial margin, below"
            f" {percent(limits.order_control)}: orders that add margin are cancelled",
        )
    if value <= limits.warning_ratio:
        return "WARNED", f"{shown}, at or below {percent(limits.warning_ratio)}"
    return "HEALTHY", f"{shown}; the warning comes at {percent(limits.warning_ratio)}"


def binding_words(unit: RiskUnitReport) -> str:
    """The arithmetic of the unit's maintenance margin and what decides it."""
    if not unit.binding:
        return "no requirement"
    added = [c for c in ("mr3", "mr4", "mr5", "mr9") if getattr(unit, c) > 0.0]
    price_part = max(unit.mr1, unit.mr2, unit.mr6)
    total = price_part + sum(getattr(unit, c) for c in added)
    first = next((c for c in ("mr1", "mr6", "mr2") if getattr(unit, c) == price_part), "mr1")
    terms = " + ".join(c.upper() for c in [first, *added])
    if unit.binding == "mr7":
        return f"MR7 {usd(unit.mr7)} binds: closing costs more than {terms} = {usd(total)}"
    return f"{terms} = {usd(total)} binds (MR7 {usd(unit.mr7)} is smaller)"


def worst_case_words(unit: RiskUnitReport, losers: list[tuple[PositionLine, float]]) -> str:
    """The scenario behind the unit's largest price charge, and the positions that lose in it."""
    cell, name = unit.mr1_final, "MR1"
    if unit.mr6 > unit.mr1:
        cell, name = unit.mr6_final, "MR6"
    if cell.pnl >= 0.0:
        return "no scenario loses money"
    text = f"{name}: {cell_words(cell.spot_shock, cell.vol_shock, unit)}"
    text += f" costs {usd(-cell.pnl)}"
    if name == "MR6":
        text += ", half of it is charged"
    if losers:
        named = [f"{position_words(line)} {signed_usd(pnl)}" for line, pnl in losers[:3]]
        text += "; it falls on " + ", ".join(named)
    return text


def position_words(line: PositionLine) -> str:
    """`short 10 BTC-USDT-SWAP`."""
    return f"{'long' if line.amt > 0 else 'short'} {coins(abs(line.amt))} {line.inst_id}"


def cell_words(spot_shock: str, vol_shock: str, unit: RiskUnitReport) -> str:
    """A stress cell: the index move and, for units with options, the volatility move."""
    move = float(spot_shock)
    text = "index unchanged" if move == 0.0 else f"index {signed_percent(move)}"
    if not vol_shock or not has_options(unit):
        return text
    words = {"up": "volatility up", "down": "volatility down"}
    return f"{text} with {words.get(vol_shock, 'volatility unchanged')}"


def has_options(unit: RiskUnitReport) -> bool:
    """Whether the unit holds an option."""
    return any(line.inst_type == "OPTION" for line in unit.portfolios)


def component_words(name: str, unit: RiskUnitReport) -> str:
    """What is behind one component of the unit."""
    if name == "mr1" and unit.mr1_final.pnl < 0.0:
        cell = cell_words(unit.mr1_final.spot_shock, unit.mr1_final.vol_shock, unit)
        return f"{cell}: {signed_usd(unit.mr1_final.pnl)}"
    if name == "mr6" and unit.mr6_final.pnl < 0.0:
        cell = cell_words(unit.mr6_final.spot_shock, "", unit)
        return f"{cell}: {signed_usd(unit.mr6_final.pnl)}, half of it counts"
    if name == "mr4":
        return _deltas("delta", unit.tenor_deltas)
    if name == "mr7" and unit.mr7_raw > 0.0:
        multiplier = unit.mr7 / unit.mr7_raw
        return f"closing costs {usd(unit.mr7_raw)}, x {multiplier:.4g} for the size"
    if name == "mr9" and unit.mr9 > 0.0:
        return _deltas("delta in", unit.cash_deltas)
    return ""


def _deltas(noun: str, deltas: Mapping[str, float]) -> str:
    shown = [(key, value) for key, value in deltas.items() if abs(value) >= 0.005]
    text = ", ".join(f"{key} {signed_usd(value)}" for key, value in shown[:4])
    if len(shown) > 4:
        text += f" and {plural(len(shown) - 4, 'other')}"
    return f"{noun} {text}" if text else ""


def hedge_words(unit: RiskUnitReport) -> str:
    """What the spot in use of the unit saves."""
    if unit.spot_in_use == 0.0:
        return ""
    saved = unit.mmr_without_spot - unit.mmr
    kind = "hedge" if unit.spot_in_use > 0.0 else "borrowed coins hedge"
    return (
        f"{coins(abs(unit.spot_in_use))} {unit.base} in spot {kind} the unit's delta of"
        f" {coins(unit.coin_delta)} {unit.base}: maintenance margin {usd(unit.mmr)} instead of"
        f" {usd(unit.mmr_without_spot)}, {usd(saved)} less"
    )
