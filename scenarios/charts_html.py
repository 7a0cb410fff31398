"""Charts as parts of one HTML page that works without a network."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import plotly.io


def charts_html(figures: Sequence[go.Figure]) -> list[str]:
    """A part per chart, in order; the first carries plotly's script for all."""
    return [
        plotly.io.to_html(
            figure,
            config={"displaylogo": False},
            full_html=False,
            include_plotlyjs=number == 0,
        )
        for number, figure in enumerate(figures)
    ]
