"""Every script of tests/accounts/scripts, with each balance checked by hand-computed integers."""

from pathlib import Path

import pytest

from tests.accounts.scripting import SCRIPTS, Script

PATHS = sorted(SCRIPTS.glob("*.toml"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_script(path: Path) -> None:
    Script(path).run()


def test_a_wrong_figure_fails_with_the_steps_own_words(tmp_path: Path) -> None:
    text = (SCRIPTS / "spot.toml").read_text(encoding="utf-8")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace('"19970"', '"19970.00000001"', 1), encoding="utf-8")
    with pytest.raises(AssertionError, match=r"step 2: alice buys .*\n.*USDT: 19970.0*, not"):
        Script(wrong).run()


def test_a_sentence_that_nobody_understands(tmp_path: Path) -> None:
    text = (SCRIPTS / "spot.toml").read_text(encoding="utf-8")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace("alice buys", "alice wants", 1), encoding="utf-8")
    with pytest.raises(AssertionError, match="no such sentence"):
        Script(wrong).run()
