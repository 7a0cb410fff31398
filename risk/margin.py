"""The margin of one account: the public door of `risk`."""

from __future__ import annotations

from risk.portfolio import IsolatedInput, OrderInput, Portfolio, PositionInput, fill_order, profit
from risk.report import AssetReport, IsolatedReport, MarginReport, PositionLine, RiskUnitReport

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
    "profit",
]
