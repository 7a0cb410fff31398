"""Kernels that were compiled from other sources are not used."""

from pathlib import Path

import pytest

from risk.compiled_cache import STAMP, drop_stale


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "formula.py").write_text("rate = 1\n")
    (tmp_path / "kernel.py").write_text("from formula import rate\n")
    return tmp_path


def compiled(package: Path) -> list[str]:
    return sorted(file.name for file in (package / "__pycache__").glob("kernel.*.nb?"))


def compile_kernel(package: Path) -> list[str]:
    for end in ("nbi", "nbc"):
        (package / "__pycache__" / f"kernel.price-1.py311.{end}").write_bytes(b"code")
    return compiled(package)


def test_kernels_stay_as_long_as_no_source_changes(package: Path) -> None:
    drop_stale(package)
    kept = compile_kernel(package)
    assert len(kept) == 2
    drop_stale(package)
    assert compiled(package) == kept


def test_a_change_of_an_inlined_file_drops_them(package: Path) -> None:
    drop_stale(package)
    compile_kernel(package)
    (package / "formula.py").write_text("rate = 2.5\n")
    drop_stale(package)
    assert compiled(package) == []
    kept = compile_kernel(package)
    drop_stale(package)
    assert compiled(package) == kept


def test_kernels_without_a_stamp_are_of_unknown_sources(package: Path) -> None:
    compile_kernel(package)
    drop_stale(package)
    assert compiled(package) == []
    assert (package / "__pycache__" / STAMP).is_file()


def test_other_files_stay(package: Path) -> None:
    other = package / "__pycache__" / "kernel.cpython-311.pyc"
    other.write_bytes(b"")
    drop_stale(package)
    assert other.is_file()


def test_a_package_that_cannot_be_written_is_left_alone(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("read-only")

    kept = compile_kernel(package)
    monkeypatch.setattr(Path, "unlink", refuse)
    drop_stale(package)
    assert compiled(package) == kept
    monkeypatch.undo()
    drop_stale(package / "nowhere")
    assert not (package / "nowhere").exists()
