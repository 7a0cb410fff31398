"""Makes docs/agents.md from the parameter classes: `python -m tests.agents.agents_page`."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from pathlib import Path

from annotated_types import DocInfo, Interval, Len, Unit

from agents.outside_parameters import OutsideParameters
from agents.parameters import AgentParameters
from agents.registry import AGENT_KINDS

PAGE = Path(__file__).parents[2] / "docs" / "agents.md"

INTRODUCTION = """\
# The traders

Every kind of trader, its purpose and its parameters. This page is made from the classes (`python
-m tests.agents.agents_page`), and a test keeps it equal to them.

**Size unit.** A *unit of depth* is the usual depth of the book within one basis point and side
(`depth_usd_per_bp` of the instrument in the scenario). Sizes of market makers and takers are
given in it, so that one number scales a whole market and any coin or price level works. The
figures were found with 22 BTC per basis point. A *volatility* as a unit is the current volatility
of the log price per root second.

**Presets.** `agents.ecology.ecology(instrument_id, "calm" | "crash")` returns market makers,
patient bidder, metaorder takers, index arbitrageur and momentum traders with the parameters of
the outside market that belong to them. `calm` is the default values with `volume_power = 0.3` and
`impact_coefficient = 0.00099` outside; `crash` has market makers with `tolerance = 1.0`, takers
with `events_per_second = 0.5` and twice the sizes, and `size_unit = 0.0909` outside: fewer
messages.

**What they do not know.** Traders see books, marks, funding and their own account. Market makers
and arbitrageurs also see the price outside the venue, late by a second or more. Nobody sees the
path ahead or another account.

**Measured** without a clearing side (`tests/agents/fake_venue.py`): `calm` preset and a population
of 1,000 leveraged accounts, seven synthetic days of 27 % nominal volatility pooled, index alone in
brackets. Tail index and clustering come from the index path, the rest from the traders. Here
the tail index is outside its band, within its error; days decide it, not traders.

| fact | value | band |
|---|---|---|
| Hill index of the largest 1 % | 4.6 +- 0.5 (4.3) | 2.5-4.5 |
| ACF of returns, lag 1 | .027 (-.024) | +-.05 |
| ACF of absolute returns: lag 1 | .28 (.28) | .25-.45 |
| lag 60; decay | .12; .22 (.11; .24) | .10-.27; .2-.4 |
| correlation of absolute return and log volume | .43 | .4-.6 |
| exponent of the sign ACF | .59 | .4-.7 |
| metaorder impact: exponent; Y | .47 +- .05; .72 +- .03 | .4-.6; .5-1.5 |
| limit orders cancelled; spread one tick | 97.4 %; 94 % | 95 %; 80 % |
| depth to 10 bp: R^2 of a line; power | .999; .95 | .9 |
| messages a second | 19.5 | |

`crash` preset on the paths of the two crashes (kappa 0.5, no leveraged accounts): 27 messages a
second in 2025; depth within 1 % down by 98 % at worst, back to a half 27 minutes later; the worst
5 minutes trade 25 times the median. With `speed_up_limit = 1` for the market makers 30 messages a
second in 2020.
"""

COMMON = ("count", "latency_ms", "account_mode", "kind")


def _range(metadata: tuple[object, ...]) -> str:
    for item in metadata:
        if isinstance(item, Interval):
            low = "" if item.ge is None and item.gt is None else _low(item)
            high = "" if item.le is None and item.lt is None else _high(item)
            return " and ".join(part for part in (low, high) if part)
        if isinstance(item, Len):
            return f"{item.min_length} to {item.max_length} values"
    return ""


def _low(item: Interval) -> str:
    return f">= {item.ge:g}" if item.ge is not None else f"> {item.gt:g}"


def _high(item: Interval) -> str:
    return f"<= {item.le:g}" if item.le is not None else f"< {item.lt:g}"


def _show(value: object) -> str:
    if isinstance(value, bool | str):
        return f"`{value}`" if value != "" else "empty"
    if isinstance(value, float | int):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        return " ".join(_show(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_show(item)}" for key, item in value.items()) or "empty"
    return str(value)


def table(parameters: type, leave_out: tuple[str, ...]) -> list[str]:
    """Rows of one class: name, default, unit, range, meaning."""
    hints = typing.get_type_hints(parameters, include_extras=True)
    lines = ["| parameter | default | unit | range | meaning |", "|---|---|---|---|---|"]
    made = parameters()
    for field in dataclasses.fields(parameters):
        if field.name in leave_out:
            continue
        metadata = getattr(hints[field.name], "__metadata__", ())
        unit = next((item.unit for item in metadata if isinstance(item, Unit)), "")
        text = next((i.documentation for i in metadata if isinstance(i, DocInfo)), None)
        assert text, f"{parameters.__name__}.{field.name} is not documented"
        default = _show(getattr(made, field.name))
        lines.append(f"| `{field.name}` | {default} | {unit} | {_range(metadata)} | {text} |")
    return lines


def _module_text(parameters: type) -> str:
    module = sys.modules[parameters.__module__]
    return inspect.cleandoc(module.__doc__ or "")


def page() -> str:
    """The whole page."""
    lines = [INTRODUCTION, "## Common to all kinds", ""]
    lines += table(AgentParameters, ("kind",))
    for kind, parameters in AGENT_KINDS.items():
        lines += ["", f"## {kind}", "", _module_text(parameters), ""]
        lines += table(parameters, COMMON)
        made = parameters()
        changed = [
            f"`{name}` {_show(getattr(made, name))}"
            for name in COMMON[:3]
            if getattr(made, name) != getattr(AgentParameters(), name)
        ]
        if changed:
            lines += ["", "Other defaults: " + ", ".join(changed) + "."]
    lines += ["", "## The market outside", "", _module_text(OutsideParameters), ""]
    lines += table(OutsideParameters, ())
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
