"""The margin report: OKX's position-builder figures, and what an explanation of them needs.

Attributes carry OKX's field names in snake case; `MarginReport.to_okx_dict` gives the JSON of
`selloff margin --json`. All figures are unrounded; USD unless a docstring says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

FILL_SETS = ("none", "buys", "sells", "all")
COMPONENTS = ("mr1", "mr2", "mr3", "mr4", "mr5", "mr6", "mr7", "mr8", "mr9")


@dataclass(frozen=True, slots=True)
class PositionLine:
    """One position of a risk unit (OKX `portfolios[]`), or of a multi-currency account.

    amt: signed contracts. avg_px, mark_px: quote currency, options in coin. float_pnl:
    settlement currency. notional_usd, delta, gamma (USD delta per 1 % move), theta (USD a day),
    vega (USD a vol point): cash greeks.  imr, mmr, lever: multi-currency mode only, else 0.
    Source: 3.3, 3.4, 16.2, 16.16.
    """

    inst_id: str
    inst_type: str
    amt: float
    avg_px: float
    mark_px: float
    float_pnl: float
    notional_usd: float
    delta: float
    gamma: float
    theta: float
    vega: float
    imr: float = 0.0
    mmr: float = 0.0
    lever: float = 0.0


@dataclass(frozen=True, slots=True)
class FillSetMargin:
    """The unit as it would be after a set of its open orders was filled.  Source: 16.12."""

    name: str
    mmr: float
    components: Mapping[str, float]
    spot_in_use: float


@dataclass(frozen=True, slots=True)
class WorstCell:
    """The cell that decided MR1 or MR6: its P&L (MR6 un-halved), shock and volatility state."""

    pnl: float
    spot_shock: str
    vol_shock: str = ""


@dataclass(frozen=True, slots=True)
class RiskUnitReport:
    """One risk unit.

    mr1_scenarios: `volSame`, `volShockUp`, `volShockDown` -> shock -> P&L; mr6_scenarios: shock ->
    P&L un-halved. binding: the component that sets the margin (`mr1`, `mr2` or `mr6` of the
    first group, or `mr7`; `` when the unit has no margin). spot_in_use: coins, signed.
    fill_sets: the four sets of 16.12; binding_set: the one that sets `imr`.
    cash_deltas: quote -> USD (MR9). tenor_deltas: `perpetual` or yymmdd -> USD (MR4).
    """

    risk_unit: str
    base: str
    mmr: float
    imr: float
    upl: float
    mr1: float
    mr2: float
    mr3: float
    mr4: float
    mr5: float
    mr6: float
    mr7: float
    mr8: float
    mr9: float
    mr1_scenarios: Mapping[str, Mapping[str, float]]
    mr1_final: WorstCell
    mr6_scenarios: Mapping[str, float]
    mr6_final: WorstCell
    delta: float
    gamma: float
    theta: float
    vega: float
    portfolios: tuple[PositionLine, ...]
    binding: str
    mr7_raw: float
    spot_in_use: float
    mmr_without_spot: float
    coin_delta: float
    fill_sets: tuple[FillSetMargin, ...]
    binding_set: str
    cash_deltas: Mapping[str, float]
    tenor_deltas: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class AssetReport:
    """One currency: the equity bridge and its borrowing.

    Coins: cash, upl, option_value, avail_eq (= their sum), spot_in_use, liability (of the fill
    set none), potential_liability (largest over the four fill sets). USD: eq_usd (undiscounted),
    dis_eq (what counts in adjusted equity), haircut (eq_usd - dis_eq), borrow_mmr, borrow_imr,
    liquidation_fee.  mmr_tier, imr_tier count from 1; 0 without a borrowing.
    Source: 4.1, 4.3, 7.2, 16.13.
    """

    ccy: str
    usd_index: float
    cash: float
    upl: float
    option_value: float
    avail_eq: float
    eq_usd: float
    dis_eq: float
    haircut: float
    spot_in_use: float
    liability: float
    potential_liability: float
    potential_set: str
    mmr_rate: float
    imr_rate: float
    mmr_tier: int
    imr_tier: int
    borrow_mmr: float
    borrow_imr: float
    liquidation_fee: float


@dataclass(frozen=True, slots=True)
class IsolatedReport:
    """An isolated position: outside the account's margin, with a ratio of its own.

    margin, upl and equity in the settlement currency; imr, mmr, notional_usd in USD.
    margin_ratio: equity / (maintenance margin + closing fee), infinite without a requirement.
    Source: 16.18.
    """

    inst_id: str
    inst_type: str
    amt: float
    avg_px: float
    mark_px: float
    margin: float
    upl: float
    equity: float
    notional_usd: float
    imr: float
    mmr: float
    lever: float
    closing_fee: float
    margin_ratio: float


@dataclass(frozen=True, slots=True)
class MarginReport:
    """Margin of one account, all in USD.

    eq: adjusted equity. deriv_mmr + borrow_mmr = total_mmr. deriv_imr + borrow_imr = total_imr.
    margin_ratio: eq / (total_mmr + liquidation_fee), infinite without a requirement.
    fill_set_equity: adjusted equity after each fill set (16.17 a), less pending losses and fees.
    positions: lines with their own margin, multi-currency mode only.
    """

    rules: str
    mode: str
    time_ns: int
    eq: float
    total_mmr: float
    total_imr: float
    borrow_mmr: float
    borrow_imr: float
    deriv_mmr: float
    deriv_imr: float
    margin_ratio: float
    upl: float
    acct_lever: float
    notional_usd: float
    assets: tuple[AssetReport, ...]
    risk_units: tuple[RiskUnitReport, ...]
    positions: tuple[PositionLine, ...]
    isolated: tuple[IsolatedReport, ...]
    total_equity: float
    discounted_equity: float
    pending_order_loss: float
    estimated_fees: float
    liquidation_fee: float
    fill_set_equity: Mapping[str, float]

    @property
    def smallest_equity(self) -> float:
        """The smallest adjusted equity over the four fill sets.  Source: 16.17 (a)."""
        return min(self.fill_set_equity.values())

    def asset(self, currency: str) -> AssetReport:
        """The entry of one currency; KeyError when the account has none."""
        for entry in self.assets:
            if entry.ccy == currency:
                return entry
        raise KeyError(currency)

    def risk_unit(self, name: str) -> RiskUnitReport:
        """The entry of one risk unit; KeyError when the account has none."""
        for entry in self.risk_units:
            if entry.risk_unit == name:
                return entry
        raise KeyError(name)

    def to_okx_dict(self) -> dict[str, object]:
        """The object that `selloff margin --json` prints: OKX's names, numbers, no strings."""
        okx: dict[str, object] = {
            "eq": self.eq,
            "totalMmr": self.total_mmr,
            "totalImr": self.total_imr,
            "borrowMmr": self.borrow_mmr,
            "derivMmr": self.deriv_mmr,
            "marginRatio": _finite(self.margin_ratio),
            "upl": self.upl,
            "acctLever": _finite(self.acct_lever),
            "assets": [_asset_dict(entry) for entry in self.assets],
            "riskUnitData": [_unit_dict(entry) for entry in self.risk_units],
            "positions": [_margined_line(line) for line in self.positions],
        }
        if self.isolated:
            okx["isolated"] = [_isolated_dict(entry) for entry in self.isolated]
        return okx


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _asset_dict(entry: AssetReport) -> dict[str, object]:
    return {
        "ccy": entry.ccy,
        "availEq": entry.avail_eq,
        "spotInUse": entry.spot_in_use,
        "borrowMmr": entry.borrow_mmr,
        "borrowImr": entry.borrow_imr,
    }


def _unit_dict(unit: RiskUnitReport) -> dict[str, object]:
    okx: dict[str, object] = {
        "riskUnit": unit.risk_unit,
        "mmr": unit.mmr,
        "imr": unit.imr,
        "upl": unit.upl,
    }
    okx.update((name, getattr(unit, name)) for name in COMPONENTS)
    okx["mr1Scenarios"] = {state: dict(cells) for state, cells in unit.mr1_scenarios.items()}
    okx["mr1FinalResult"] = {
        "pnl": unit.mr1_final.pnl,
        "spotShock": float(unit.mr1_final.spot_shock),
        "volShock": unit.mr1_final.vol_shock,
    }
    extreme = unit.mr6_final
    okx["mr6FinalResult"] = {"pnl": extreme.pnl, "spotShock": float(extreme.spot_shock)}
    okx.update((name, getattr(unit, name)) for name in ("delta", "gamma", "theta", "vega"))
    okx["portfolios"] = [_line_dict(line) for line in unit.portfolios]
    return okx


def _line_dict(line: PositionLine) -> dict[str, object]:
    return {
        "instId": line.inst_id,
        "instType": line.inst_type,
        "amt": line.amt,
        "posSide": "net",
        "avgPx": line.avg_px,
        "markPx": line.mark_px,
        "floatPnl": line.float_pnl,
        "notionalUsd": line.notional_usd,
        "delta": line.delta,
        "gamma": line.gamma,
        "theta": line.theta,
        "vega": line.vega,
        "isRealPos": False,
    }


def _margined_line(line: PositionLine) -> dict[str, object]:
    return {
        "instId": line.inst_id,
        "instType": line.inst_type,
        "amt": line.amt,
        "posSide": "net",
        "avgPx": line.avg_px,
        "markPx": line.mark_px,
        "floatPnl": line.float_pnl,
        "imr": line.imr,
        "mmr": line.mmr,
        "lever": line.lever,
        "notionalUsd": line.notional_usd,
        "isRealPos": False,
    }


def _isolated_dict(entry: IsolatedReport) -> dict[str, object]:
    return {
        "instId": entry.inst_id,
        "instType": entry.inst_type,
        "amt": entry.amt,
        "avgPx": entry.avg_px,
        "markPx": entry.mark_px,
        "margin": entry.margin,
        "upl": entry.upl,
        "notionalUsd": entry.notional_usd,
        "imr": entry.imr,
        "mmr": entry.mmr,
        "lever": entry.lever,
        "mgnRatio": _finite(entry.margin_ratio),
    }
