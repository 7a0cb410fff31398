"""The pages about the code are true as far as a test can tell: files, names and links exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "docs" / f"{name}.md"
    for name in ("architecture", "first-ten-minutes", "performance", "scale")
]
PACKAGES = ("exchange", "risk", "accounts", "agents", "scenarios")
FOLDERS = (*PACKAGES, "tests", "benchmarks", "docs")
FILE = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./*-]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_links_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    files = [name for name in FILE.findall(text) if not list(ROOT.glob(name.rstrip("/")))]
    assert not files
    links = [x for x in LINK.findall(text) if "://" not in x and not (page.parent / x).exists()]
    assert not links


def test_functions_that_the_architecture_names_are_defined() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    )
    names = re.findall(r"`[A-Z]\w+\.(\w+)`|`([a-z]+_\w+)`", text)
    missing = {a or b for a, b in names if not re.search(rf"\b{a or b}\b", code)}
    assert not missing - {"extra_agents"}
