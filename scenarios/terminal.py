"""How results look in a terminal: one console, one kind of table."""

from __future__ import annotations

from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 100


def console() -> Console:
    """A console of the terminal's width, 100 columns where there is no terminal."""
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=WIDTH)


def table(*columns: str, words: tuple[int, ...] = (0,)) -> Table:
    """An empty table: the columns numbered in `words` are text and fold, the rest are numbers."""
    built = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True,
        header_style="dim",
    )  # fmt: skip
    for number, name in enumerate(columns):
        text = number in words
        justify: Literal["left", "right"] = "left" if text else "right"
        built.add_column(name, justify=justify, no_wrap=not text, overflow="fold")
    return built
