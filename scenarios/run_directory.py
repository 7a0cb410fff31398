"""The folder of a run: what it is called, how it is written, how it is read back.

    runs/<scenario>-<seed>-<config hash>/
        manifest.json   configuration, seed, versions, event hash, finished or not
        summary.json    the run in figures
        *.parquet       one table per kind of event
        report.html

A folder whose manifest says `finished: false` is a run that is going on or was killed: a killed one
can be run over, one that is going on holds a lock on the folder. One that is finished is never
overwritten by another configuration.

Source: design, section 8.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl

from accounts.insurance import FUND_PREFIX
from exchange.instrument import Instrument
from scenarios.errors import UserError
from scenarios.table_writer import discard_parts
from scenarios.whole_file import write_text

MANIFEST, SUMMARY, REPORT = "manifest.json", "summary.json", "report.html"
FORMAT = 1
PARQUET_END = b"PAR1"
VERSIONED = ("selloff", "numpy", "numba", "simpy", "sortedcontainers", "polars", "pydantic")


def config_hash(config: Mapping[str, Any]) -> str:
    """Ten hex digits that name a configuration: equal for equal content, whatever its order."""
    canonical = json.dumps(config, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]


def run_name(scenario: str, seed: int, config: Mapping[str, Any]) -> str:
    """`<scenario>-<seed>-<config hash>`, safe as a folder's name."""
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in scenario).strip(".") or "run"
    return f"{safe}-{seed}-{config_hash(config)}"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file of JSON whole."""
    text = json.dumps(finite(content), indent=2, ensure_ascii=False, default=str, allow_nan=False)
    write_text(path, text + "\n")


def finite(value: Any) -> Any:
    """`value` with every NaN and infinity as None, since JSON has neither."""
    if isinstance(value, (str, int)):
        return value  # first: looking whether something is a mapping takes long
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return value


def fund_accounts(account_names: Sequence[str]) -> set[int]:
    """Accounts of the insurance pools, which are nobody's: no share of accounts counts them."""
    return {a for a, name in enumerate(account_names) if name.startswith(FUND_PREFIX)}


def versions() -> dict[str, str]:
    """Versions that a rerun needs for the same event hash."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a bare checkout
            found[name] = "not installed"
    return found


class RunDirectory:
    """A run being written. `open` prepares and locks the folder, `finish` makes it a finished run
    and lets go of it."""

    def __init__(self, path: Path, manifest: dict[str, Any], lock: int | None) -> None:
        self.path = path
        self.manifest = manifest
        self._lock = lock

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        scenario: str,
        seed: int,
        config: Mapping[str, Any],
        instruments: Sequence[Instrument],
        account_names: Sequence[str],
        paths: Mapping[str, str] | None = None,
        funding: Mapping[str, str] | None = None,
    ) -> RunDirectory:
        """Create or reuse the folder `path` and write an unfinished manifest.

        Raises UserError when the folder holds a finished run of another configuration, or files
        that are no run, or when another run is being written there.
        """
        manifest = {
            "format": FORMAT,
            "finished": False,
            "scenario": scenario,
            "seed": seed,
            "config_hash": config_hash(config),
            "config": dict(config),
            "versions": versions(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "paths": dict(paths or {}),
            "funding": dict(funding or {}),
            "accounts": list(account_names),
            "instruments": [_instrument_entry(i) for i in instruments],
            "warnings": [],
        }
        lock = _lock(path)
        try:
            _make_room(path, manifest)
            write_json(path / MANIFEST, manifest)
        except BaseException:
            _unlock(lock)
            raise
        return cls(path, manifest, lock)

    def close(self) -> None:
        """Let go of the folder, finished or not. The end of the process does it too."""
        _unlock(self._lock)
        self._lock = None

    def discard(self) -> None:
        """Take back what `open` wrote: the run was refused before its first second."""
        discard_parts(self.path)
        (self.path / MANIFEST).unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()
        self.close()

    def warn(self, message: str) -> None:
        """Note something that the reader of the results should know."""
        self.manifest["warnings"].append(message)

    def finish(
        self, summary: Mapping[str, Any], event_hash: str, rows: Mapping[str, int] | None = None
    ) -> None:
        """Write the summary with the metrics of the tables, then the manifest that says finished:
        in this order, so that a kill in between leaves an unfinished run."""
        from scenarios.metrics import compute_metrics

        write_json(self.path / SUMMARY, summary)
        metrics = compute_metrics(Run(self.path, self.manifest))
        write_json(self.path / SUMMARY, {**summary, "metrics": metrics})
        self.manifest |= {
            "finished": True,
            "event_hash": event_hash,
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "rows": dict(rows or {}),
        }
        write_json(self.path / MANIFEST, self.manifest)
        self.close()


def _instrument_entry(instrument: Instrument) -> dict[str, Any]:
    """What a reader needs to turn lots and ticks into sizes and prices."""
    return {
        "instrument_id": instrument.instrument_id,
        "kind": instrument.kind.name.lower(),
        "base": instrument.base,
        "quote": instrument.quote,
        "settle": instrument.settle,
        "inverse": instrument.inverse,
        "tick": str(instrument.tick),
        "lot": str(instrument.lot),
        "contract_value": str(instrument.contract_value),
        "contract_multiplier": str(instrument.contract_multiplier),
        "expiry_ns": instrument.expiry_ns,
    }


def _lock(path: Path) -> int | None:
    """Create the folder and lock it until `_unlock` or the end of the process, however it ends."""
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file; --out names a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be created: {error.strerror}") from error
    if sys.platform == "win32":  # folders cannot be locked there
        return None
    import fcntl

    folder = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(folder)
        raise UserError(
            f"{path}: another run is being written there; wait for its end or choose another --out"
        ) from None
    except OSError:  # a file system without locks
        os.close(folder)
        return None
    return folder


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _make_room(path: Path, manifest: Mapping[str, Any]) -> None:
    """Make the folder `path` empty, where what it holds may be replaced."""
    held = [p for p in path.iterdir() if not p.name.startswith(".")]
    if not held:
        return
    old = _read_json(path / MANIFEST) if (path / MANIFEST).exists() else {}
    if "config_hash" not in old:  # other programs write files of that name too
        raise UserError(f"{path}: holds files that are no run; choose another --out")
    same = all(old.get(k) == manifest[k] for k in ("scenario", "seed", "config_hash"))
    if old.get("finished") and not same:
        raise UserError(
            f"{path}: holds a finished run of {old.get('scenario')} (seed {old.get('seed')},"
            f" configuration {old.get('config_hash')}); remove it or choose another --out"
        )
    # The manifest goes first: from here on the folder is no finished run.
    (path / MANIFEST).unlink()
    for file in held:
        if file.suffix == ".parquet" or file.name in (SUMMARY, REPORT):
            file.unlink()
    discard_parts(path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path}: is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: is no JSON object")
    return content


def _require(path: Path, content: Mapping[str, Any], fields: Sequence[str]) -> None:
    """Refuse a file of a run that lacks a field."""
    for field in fields:
        if field not in content:
            raise UserError(f"{path}: has no {field}; the folder is damaged, run again")


def _require_whole(path: Path) -> None:
    """Refuse a Parquet file that does not end as one: a copy that broke off."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - len(PARQUET_END)))
        if file.read() != PARQUET_END:
            raise UserError(f"{path}: is no whole Parquet file; the folder is damaged, run again")


class Run:
    """A run read back. Tables are loaded when first asked for, as polars frames.

    `run.fills`, `run.orders`, `run.marks`, `run.accounts`, `run.states`, `run.warnings`,
    `run.liquidations`, `run.bankruptcies`, `run.deleveragings`, `run.funds`, `run.funding`,
    `run.deliveries`,
    `run.ledger` and `run.prices` all have `seq` (order over all tables) and `time` (UTC).
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def load(cls, path: Path | str) -> Run:
        """Open a run's folder. Raises UserError where there is none, or none that is finished."""
        path = Path(path)
        if not path.is_dir():
            raise UserError(f"{path}: no such folder (selloff run writes runs/NAME-SEED-HASH)")
        if not (path / MANIFEST).exists():
            raise UserError(f"{path}: is no run: it has no {MANIFEST}")
        manifest = _read_json(path / MANIFEST)
        if manifest.get("format") != FORMAT:
            raise UserError(f"{path}: format {manifest.get('format')} is not {FORMAT}")
        if not manifest.get("finished"):
            raise UserError(f"{path}: the run is not finished (killed, or still going on)")
        _require(path / MANIFEST, manifest, ("config", "accounts", "instruments", "event_hash"))
        return cls(path, manifest)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The figures of the run."""
        summary = _read_json(self.path / SUMMARY)
        _require(self.path / SUMMARY, summary, ("scenario", "seed", "accounts", "metrics"))
        return summary

    @cached_property
    def metrics(self) -> pl.DataFrame:
        """All metrics: (metric, part, value, unit, definition)."""
        from scenarios.metrics import metrics_frame

        return metrics_frame(self.summary["metrics"])

    @property
    def account_names(self) -> list[str]:
        """Names of the accounts, by number."""
        return list(self.manifest["accounts"])

    @cached_property
    def instruments(self) -> dict[str, dict[str, Any]]:
        """What is traded, by id."""
        return {i["instrument_id"]: i for i in self.manifest["instruments"]}

    def has(self, table: str) -> bool:
        """Whether the table was written (a run with `record = "summary"` lacks the large ones)."""
        return (self.path / f"{table}.parquet").exists()

    def table(self, name: str) -> pl.DataFrame:
        """A whole table with a `time` column. Raises UserError where it was not recorded."""
        return self.scan(name).collect()

    def scan(self, name: str) -> pl.LazyFrame:
        """A table, lazily: filter before collecting where it is large.

        Raises UserError where it was not recorded, or its file is cut off.
        """
        if not self.has(name):
            raise UserError(
                f"{self.path}: the table {name} was not recorded; run again with"
                ' recording.tables = "all"'
            )
        file = self.path / f"{name}.parquet"
        _require_whole(file)
        time = pl.from_epoch("time_ns", time_unit="ns").dt.replace_time_zone("UTC").alias("time")
        return pl.scan_parquet(file).with_columns(time)

    @cached_property
    def orders(self) -> pl.DataFrame:
        """One row per order event: accepted, rejected, cancelled, amended."""
        return self.table("orders")

    @cached_property
    def fills(self) -> pl.DataFrame:
        """One row per maker-taker pair."""
        return self.table("fills")

    @cached_property
    def marks(self) -> pl.DataFrame:
        """Samples of every market: index, mark, last, best prices, depth."""
        return self.table("marks")

    @cached_property
    def accounts(self) -> pl.DataFrame:
        """Snapshots of every account's margin figures."""
        return self.table("accounts")

    @cached_property
    def states(self) -> pl.DataFrame:
        """Accounts that crossed a threshold, with the figures that decided it."""
        return self.table("states")

    @cached_property
    def warnings(self) -> pl.DataFrame:
        """Margin warnings."""
        return self.table("warnings")

    @cached_property
    def liquidations(self) -> pl.DataFrame:
        """Steps of forced action."""
        return self.table("liquidations")

    @cached_property
    def bankruptcies(self) -> pl.DataFrame:
        """Accounts taken over, and who paid."""
        return self.table("bankruptcies")

    @cached_property
    def deleveragings(self) -> pl.DataFrame:
        """Winners' positions closed off the book."""
        return self.table("deleveragings")

    @cached_property
    def funds(self) -> pl.DataFrame:
        """Balances of the insurance funds after each change."""
        return self.table("funds")

    @cached_property
    def funding(self) -> pl.DataFrame:
        """Funding settlements of perpetuals."""
        return self.table("funding")

    @cached_property
    def deliveries(self) -> pl.DataFrame:
        """Contracts that expired: settlement price, open interest closed, what was paid."""
        return self.table("deliveries")

    @cached_property
    def positions(self) -> pl.DataFrame:
        """Derivative positions that stood when the run began."""
        return self.table("positions")

    @cached_property
    def ledger(self) -> pl.DataFrame:
        """Every booking."""
        return self.table("ledger")

    @cached_property
    def prices(self) -> pl.DataFrame:
        """Every published price: columns `mark:<instrument>` (ticks), `index:<pair>` and
        `usd:<currency>` (1e-8)."""
        return self.table("prices")

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"
