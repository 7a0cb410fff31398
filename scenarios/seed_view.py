"""What became of seeded order books, for the terminal and the report: rows from `summary.json`."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from scenarios.formats import percent, plural, price, ratio, usd

COLUMNS = ("seeded book", "orders", "USD", "reaches", "filled", "cancelled", "left")


def seed_rows(seeds: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Two rows for each seeded book, texts by `COLUMNS`; seeds: `book_seeds` of the summary."""
    return [
        (
            f"{instrument_id} {name}",
            f"{book[name]['orders']:,}",
            usd(book[name]["usd"]),
            price(book[name]["last"]),
            percent(book[name]["filled_share"], 0),
            percent(1.0 - book[name]["filled_share"] - book[name]["resting_share"], 0),
            percent(book[name]["resting_share"], 0),
        )
        for instrument_id, book in seeds.items()
        for name in ("bids", "asks")
    ]


def seed_notes(seeds: Mapping[str, Any]) -> list[str]:
    """One line for each seeded book: where its depth is from, what was left out, its owners."""
    notes = []
    for instrument_id, book in seeds.items():
        left_out = "".join(
            f"; {plural(part['levels'], 'level')} {reason} left out"
            f" ({percent(part['size_share'], 1)} of the size)"
            for reason, part in book["left_out"].items()
        )
        owners = book["accounts"]
        names = owners[0] if len(owners) == 1 else f"{owners[0]} to {owners[-1].rsplit('/', 1)[1]}"
        lowest = book["lowest_margin_ratio"]
        notes.append(
            f"{instrument_id}: depth recorded around {price(book['recorded_mid'])} laid around"
            f" {price(book['mid'])}{left_out}; owned by {names}, lowest margin ratio at the end:"
            f" {ratio(inf if lowest is None else lowest)}"
        )
    return notes
