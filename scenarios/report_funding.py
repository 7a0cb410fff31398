"""The funding settlements of a run as a table of its report."""

from __future__ import annotations

from exchange.units import atoms_per_unit
from scenarios.formats import coins, signed_percent
from scenarios.run_directory import Run
from scenarios.story import clock


def funding_rows(run: Run) -> list[dict[str, str]]:
    """One row per settlement and perpetual: when, what rate, from where, and who paid how much."""
    sources = run.manifest.get("funding", {})
    rows = []
    for row in run.funding.iter_rows(named=True):
        name = str(row["instrument"])
        currency = run.instruments[name]["settle"]
        paid = coins(row["paid_atoms"] / atoms_per_unit(currency))
        payer = "longs" if row["rate_e8"] >= 0 else "shorts"
        rows.append(
            {
                "time": clock(row["time_ns"], date=True),
                "instrument": name,
                "rate": signed_percent(row["rate"], 6),
                "source": sources.get(name, "premium"),
                "paid": f"{payer} paid {paid} {currency}" if row["paid_atoms"] else "nothing",
            }
        )
    return rows
