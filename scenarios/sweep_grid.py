"""The tasks of a sweep: every combination of settings with every seed, and their names on disk."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from scenarios.errors import UserError, show

MOST_TASKS = 1_000_000
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Task:
    """One run of a sweep: settings as (key, value) text in the order of the grid, and a seed."""

    number: int
    settings: tuple[tuple[str, str], ...]
    seed: int

    @property
    def key(self) -> str:
        """Sixteen hex digits: equal for equal settings and seed, whatever the task's number."""
        canonical = json.dumps([sorted(self.settings), self.seed])
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def overrides(self) -> tuple[str, ...]:
        """The settings as `--set` takes them."""
        return tuple(f"{key}={value}" for key, value in self.settings)


def parse_grid(options: Sequence[str]) -> list[tuple[str, list[str]]]:
    """`key=v1,v2` options as (key, values). Raises UserError with what is wrong.

    Commas inside brackets, braces or quotes belong to the value.
    """
    grid: list[tuple[str, list[str]]] = []
    for option in options:
        key, equals, text = option.partition("=")
        key = key.strip()
        if not equals or not key:
            raise UserError(f"--grid: {show(option)} is not KEY=VALUE,VALUE")
        values = [value.strip() for value in _split(text)]
        if not all(values):
            raise UserError(f"--grid: {key}: a value is empty in {show(text)}")
        if len(set(values)) != len(values):
            raise UserError(f"--grid: {key}: a value is given twice in {show(text)}")
        if any(key == other for other, _ in grid):
            raise UserError(f"--grid: {key} is given twice")
        grid.append((key, values))
    return grid


def _split(text: str) -> list[str]:
    """Split at commas that no bracket or quote encloses."""
    parts, depth, quote, current = [], 0, "", ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "[{(":
            depth += 1
        elif character in "]})":
            depth -= 1
        if character == "," and depth == 0 and not quote:
            parts.append(current)
            current = ""
        else:
            current += character
    return [*parts, current]


def parse_seeds(text: str) -> list[int]:
    """`0:32` (32 not included), `7`, or `1,5,9`. Raises UserError."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,19})(?::(\d{1,19}))?\s*", part, re.ASCII)
        if match is None:
            raise UserError(
                f"--seeds: {show(text)} is not FROM:TO, a number, or numbers with commas"
            )
        start = int(match[1])
        end = start + 1 if match[2] is None else int(match[2])
        if end <= start:
            raise UserError(f"--seeds: {show(part)}: the end must be above the start")
        if end - 1 > LARGEST_SEED or end - start > MOST_TASKS:
            raise UserError(f"--seeds: {show(part)} is more than {MOST_TASKS:,} seeds or too large")
        seeds.extend(range(start, end))
    if len(set(seeds)) != len(seeds):
        raise UserError(f"--seeds: {show(text)} names a seed twice")
    return seeds


def make_tasks(grid: Sequence[tuple[str, list[str]]], seeds: Sequence[int]) -> list[Task]:
    """All tasks in order: the last grid key varies fastest but for the seed."""
    count = len(seeds)
    for _, values in grid:
        count *= len(values)
    if count > MOST_TASKS:
        raise UserError(f"the grid has {count:,} runs, more than {MOST_TASKS:,}")
    keys = [key for key, _ in grid]
    points = itertools.product(*(values for _, values in grid))
    return [
        Task(number, tuple(zip(keys, point, strict=True)), seed)
        for number, (point, seed) in enumerate(itertools.product(points, seeds))
    ]
