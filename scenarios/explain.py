"""`selloff explain`: one account's story in plain words with numbers."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from scenarios.account_view import account_at, find_account
from scenarios.run_directory import Run
from scenarios.show import account_view, moments_view, run_span
from scenarios.story import StoryTeller
from scenarios.terminal import console


def explain_command(path: Path, account: str) -> None:
    """Print the story of one account."""
    run = Run.load(path)
    explain(console(), run, find_account(run, account))


def explain(out: Console, run: Run, number: int) -> None:
    """What it held before its troubles, what moved, each step, and how it ended."""
    story = StoryTeller(run).tell(number)
    first, last = run_span(run)
    before = last if story.troubled_ns is None else max(first, story.troubled_ns - 1)
    if run.has("ledger"):
        out.print(account_view(run, account_at(run, number, before)))
    out.print()
    for sentence in story.opening:
        out.print(Text(sentence))
    if story.moments:
        out.print(moments_view(story.moments, f"the story of {story.name}"))
    for sentence in story.ending:
        out.print(Text(sentence, style="bold"))
