"""The recorder: every event of a run becomes a row of a table, and all rows the event hash.

`Recorder` is the callable that the clearing house's `emit` and the simulation hand their events to.
One sequence number counts all rows of all tables, so the order of events survives the split into
tables. Orders and fills, a million in a run, are written column by column; the rarer tables by a
function for each.

Source: design, sections 2, 4 and 8.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import polars as pl
from librt.strings import write_i64_le

from accounts.events import (
    AccountSnapshots,
    Bankruptcy,
    Deleveraging,
    FundBalance,
    FundingPayment,
    MarginWarning,
    Marks,
    PostingBatch,
    RiskAction,
    StateChange,
)
from accounts.expiry import Delivery
from exchange.events import (
    Fill,
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderRejected,
    Trade,
)
from exchange.instrument import Instrument
from exchange.order import Order
from scenarios.event_table import EventTable, LedgerTable
from scenarios.frames import (
    NO_INSTRUMENT,
    NO_REASON,
    REJECT_CODES,
    FrameBuilder,
    LedgerFrames,
    usd_currency,
)
from scenarios.market_sample import MarketSample, PositionSnapshot
from scenarios.summary import ONE_USD_E8, SummaryCounter
from scenarios.table_writer import TableWriter
from scenarios.tables import (
    ACCOUNTS,
    FIXED_TABLES,
    INTEGER,
    LEDGER,
    Columns,
    Rows,
    TableSpec,
)

Handler: TypeAlias = Callable[[Any], None]
Recording: TypeAlias = Literal["all", "summary"]
CHUNK_ROWS = 20_000
PRICES = "prices"


class Recorder:
    """Takes every event of a run, in order.

    Args:
        directory: where tables go; None keeps the event hash and the summary only.
        instruments: in the order of the clearing house.
        record: "all" writes every table, "summary" only the small ones (states, liquidations,
            losses, funds, market samples). The event hash is the same.
        chunk_rows: rows of a table between two flushes.

    Calling it is O(1); an event of unknown type is a `KeyError`, since a lost event would be a
    hole in the results.
    """

    def __init__(
        self,
        directory: Path | None,
        instruments: Sequence[Instrument],
        *,
        record: Recording = "all",
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        self.summary = SummaryCounter(instruments)
        self._writer = None if directory is None else TableWriter(directory)
        self._all = record == "all"
        self._chunk_rows = chunk_rows
        self._frames = FrameBuilder(instruments)
        self._rows = 0  # of all tables so far
        self._numbers = {i.instrument_id: n for n, i in enumerate(instruments)}
        self._usd_currencies = [usd_currency(i) for i in instruments]
        self._usd_rates = [ONE_USD_E8] * len(instruments)
        self._usd_index: dict[str, int] = {}
        self._small = {spec.name: spec.small for spec in FIXED_TABLES}
        self._tables = {
            spec.name: EventTable(spec, self._take, chunk_rows) for spec in FIXED_TABLES
        }
        self._orders = self._tables["orders"]
        self._fills = self._tables["fills"]
        self._prices: EventTable | None = None
        self._ledger = LedgerTable(self._take, chunk_rows)
        self._handlers = self._risk_handlers() | self._other_handlers()
        self.event_hash: str | None = None

    def __call__(self, event: object) -> None:
        """Record one event."""
        if isinstance(event, OrderAccepted):
            order = event.order
            self._order(0, event.time_ns, order, order.remaining_lots, NO_REASON)
        elif isinstance(event, Fill):
            self._fill(event)
        elif isinstance(event, OrderCancelled):
            self._order(2, event.time_ns, event.order, event.remaining_lots, event.reason)
        elif isinstance(event, OrderAmended):
            order = event.order
            self._order(3, event.time_ns, order, order.remaining_lots, NO_REASON)
        elif isinstance(event, OrderRejected):
            self._rejected(event)
        elif not isinstance(event, Trade):  # the public view of a fill that is recorded already
            self._handlers[type(event)](event)

    @property
    def rows(self) -> dict[str, int]:
        """Rows flushed so far, by table; all rows once the recorder is closed."""
        tables = {name: table.digest.rows for name, table in self._tables.items()}
        if self._prices is not None:
            tables[PRICES] = self._prices.digest.rows
        return tables | {LEDGER.name: self._ledger.digest.rows}

    def close(self) -> str:
        """Flush everything, write the tables and return the event hash. Call it once."""
        assert self.event_hash is None, "the recorder is closed already"
        total = hashlib.sha256()
        for table in self._tables.values():
            total.update(table.close())
        if self._prices is not None:
            total.update(self._prices.close())
        total.update(self._ledger.close())
        if self._writer is not None:
            self._add_empty_tables()
            ledger = LedgerFrames(self._ledger.names, self._ledger.currencies)
            self._writer.finish(lambda name, rows: self._frame(name, rows, ledger))
        self.event_hash = total.hexdigest()
        return self.event_hash

    def _take(self, name: str, rows: Rows) -> None:
        """Sink of all tables: count for the summary, and keep for the disk."""
        if name == LEDGER.name:
            self.summary.take_ledger(rows, self._ledger.names, self._ledger.currencies)
        else:
            self.summary.take(name, rows)
        if self._writer is not None and (self._all or self._small.get(name, False)):
            self._writer.add(name, rows)

    def _frame(self, name: str, rows: Columns, ledger: LedgerFrames) -> pl.DataFrame:
        """A piece of the named table, decoded."""
        if name == LEDGER.name:
            return ledger.frame(rows)
        words = () if name == PRICES else self._tables[name].words.words
        return self._frames.frame(name, rows, words)

    def _add_empty_tables(self) -> None:
        """A table without rows is a file with columns, so that every reader finds it."""
        assert self._writer is not None
        for spec in (*FIXED_TABLES, LEDGER):
            if (self._all or spec.small) and self.rows[spec.name] == 0:
                self._take(spec.name, _no_rows(spec))

    def _sequence(self) -> int:
        """The sequence number of the next row."""
        self._rows += 1
        return self._rows

    def _order(
        self, kind: int, time_ns: int, order: Order, remaining_lots: int, reason: int
    ) -> None:
        side: int = order.side  # as plain integers: only those are written without a call
        order_type: int = order.order_type
        row = self._orders.row()
        write_i64_le(row, self._sequence())
        write_i64_le(row, time_ns)
        write_i64_le(row, kind)
        write_i64_le(row, order.order_id)
        write_i64_le(row, order.holder)
        write_i64_le(row, self._numbers[order.instrument.instrument_id])
        write_i64_le(row, side)
        write_i64_le(row, order_type)
        write_i64_le(row, order.price_ticks)
        write_i64_le(row, order.size_lots)
        write_i64_le(row, remaining_lots)
        write_i64_le(row, reason)
        write_i64_le(row, order.cause_id)

    def _rejected(self, e: OrderRejected) -> None:
        r = e.request
        # An instrument that does not exist has no number.
        self._orders.add(
            self._sequence(), e.time_ns, 1, 0, e.owner,
            self._numbers.get(r.instrument_id, NO_INSTRUMENT), r.side, r.order_type,
            r.price_ticks or 0, r.size_lots, 0, REJECT_CODES[e.reason], 0,
        )  # fmt: skip

    def _fill(self, e: Fill) -> None:
        maker, taker = e.maker, e.taker
        taker_side: int = taker.side
        instrument = self._numbers[e.instrument.instrument_id]
        row = self._fills.row()
        write_i64_le(row, self._sequence())
        write_i64_le(row, e.time_ns)
        write_i64_le(row, e.fill_id)
        write_i64_le(row, instrument)
        write_i64_le(row, e.price_ticks)
        write_i64_le(row, e.size_lots)
        write_i64_le(row, taker_side)
        write_i64_le(row, maker.holder)
        write_i64_le(row, taker.holder)
        write_i64_le(row, maker.order_id)
        write_i64_le(row, taker.order_id)
        write_i64_le(row, taker.cause_id or maker.cause_id)
        write_i64_le(row, self._usd_rates[instrument])

    def _risk_handlers(self) -> dict[type, Handler]:
        accounts = self._tables["accounts"]
        states = self._writer_of("states")
        warnings = self._writer_of("warnings")
        liquidations = self._writer_of("liquidations")
        words = self._tables["liquidations"].words
        number = self._numbers

        def snapshots(e: AccountSnapshots) -> None:
            if not len(e.account):
                return
            rows = np.empty(len(e.account), ACCOUNTS.dtype)
            first = self._numbers_for(len(rows))
            rows["seq"] = np.arange(first, first + len(rows))
            for column, _ in ACCOUNTS.columns[1:]:
                rows[column] = getattr(e, column)
            accounts.extend(rows)

        def changed(e: StateChange) -> None:
            states(
                e.time_ns, e.account, e.old, e.new, e.action_id, e.equity_usd,
                e.adjusted_equity_usd, e.maintenance_margin_usd, e.initial_margin_usd,
                e.margin_ratio,
            )  # fmt: skip

        def warned(e: MarginWarning) -> None:
            warnings(e.time_ns, e.account, e.margin_ratio)

        def acted(e: RiskAction) -> None:
            liquidations(
                e.time_ns, e.action_id, e.trigger_id, e.account, e.stage, words.number(e.unit),
                number.get(e.instrument_id, NO_INSTRUMENT), e.side, e.wanted_lots, e.filled_lots,
                e.limit_ticks, e.average_price, e.mark_price, e.bankruptcy_price, e.notional_usd,
                e.slippage_usd, e.fee_usd, e.ratio_before, e.ratio_after, words.number(e.reason),
            )  # fmt: skip

        return {
            AccountSnapshots: snapshots,
            StateChange: changed,
            MarginWarning: warned,
            RiskAction: acted,
        }

    def _other_handlers(self) -> dict[type, Handler]:
        bankruptcies = self._writer_of("bankruptcies")
        deleveragings = self._writer_of("deleveragings")
        funds, fundings = self._writer_of("funds"), self._writer_of("funding")
        deliveries = self._writer_of("deliveries")
        samples, positions = self._writer_of("marks"), self._writer_of("positions")
        pools = self._tables["bankruptcies"].words
        fund_words = self._tables["funds"].words
        number = self._numbers

        def bankrupt(e: Bankruptcy) -> None:
            bankruptcies(
                e.time_ns, e.action_id, e.account, e.equity_usd, e.deficit_usd, e.fund_usd,
                e.deleveraging_usd, e.socialised_usd, e.uncovered_usd,
                pools.number(json.dumps(e.pools)),
            )  # fmt: skip

        def deleveraged(e: Deleveraging) -> None:
            deleveragings(
                e.time_ns, e.action_id, e.loser, e.winner, number[e.instrument_id], e.lots,
                e.price_ticks, e.mark_ticks, e.forgone_usd,
            )  # fmt: skip

        def fund(e: FundBalance) -> None:
            rate = self._usd_rate(e.currency)
            self.summary.fund.changed(e, rate)
            funds(
                e.time_ns, fund_words.number(e.pool), fund_words.number(e.currency), e.atoms,
                e.change_atoms, e.reference, rate,
            )  # fmt: skip

        def funding(e: FundingPayment) -> None:
            fundings(
                e.time_ns, number[e.instrument_id], e.rate_e8, e.mark_ticks, e.long_lots,
                e.paid_atoms,
            )  # fmt: skip

        def delivered(e: Delivery) -> None:
            deliveries(
                e.time_ns, number[e.instrument_id], e.price_e8, e.long_lots, e.paid_atoms,
                e.fee_atoms,
            )  # fmt: skip

        def sample(e: MarketSample) -> None:
            samples(
                e.time_ns, e.instrument, e.index_e8, e.mark_ticks, e.last_ticks, e.bid_ticks,
                e.ask_ticks, e.open_interest_lots, *e.bid_depth_lots, *e.ask_depth_lots,
            )  # fmt: skip

        def held(e: PositionSnapshot) -> None:
            positions(e.time_ns, e.account, e.instrument, e.lots, e.cost_atoms)

        return {
            Bankruptcy: bankrupt,
            Deleveraging: deleveraged,
            FundBalance: fund,
            FundingPayment: funding,
            Delivery: delivered,
            MarketSample: sample,
            PositionSnapshot: held,
            Marks: self._mark,
            PostingBatch: self._postings,
        }

    def _writer_of(self, name: str) -> Callable[..., None]:
        """A function that takes one row without its sequence number; for the rarer tables."""
        add, sequence = self._tables[name].add, self._sequence

        def write(*row: float) -> None:
            add(sequence(), *row)

        return write

    def _usd_rate(self, currency: str) -> int:
        """1e-8 USD per unit of `currency` at the last mark."""
        return self._usd_index.get(currency, ONE_USD_E8)

    def _mark(self, e: Marks) -> None:
        table = self._prices
        if table is None:
            # Which pairs and currencies are published is known with the first marks.
            spec = _prices_spec(e, list(self._numbers))
            table = self._prices = EventTable(spec, self._take, self._chunk_rows)
        self._usd_index = self.summary.usd_index_e8 = e.usd_index_e8
        self._usd_rates[:] = [self._usd_rate(c) for c in self._usd_currencies]
        table.add(
            self._sequence(), e.time_ns, *e.mark_ticks, *e.index_e8.values(),
            *e.usd_index_e8.values(),
        )  # fmt: skip

    def _postings(self, e: PostingBatch) -> None:
        ledger = self._ledger
        ledger.names, ledger.currencies = e.names, e.currencies
        ledger.book(self._numbers_for(len(e.rows)), e.rows)

    def _numbers_for(self, rows: int) -> int:
        """The first of the next sequence numbers, one for each of `rows` rows."""
        first = self._rows + 1
        self._rows += rows
        return first


def _no_rows(spec: TableSpec) -> Rows:
    return np.empty(0, dtype=spec.dtype)


def _prices_spec(marks: Marks, instrument_ids: list[str]) -> TableSpec:
    """The wide table of published prices: one column per mark (ticks) and per index (1e-8)."""
    names = [
        "seq",
        "time_ns",
        *(f"mark:{i}" for i in instrument_ids),
        *(f"index:{pair}" for pair in marks.index_e8),
        *(f"usd:{currency}" for currency in marks.usd_index_e8),
    ]
    return TableSpec(PRICES, tuple((name, INTEGER) for name in names))
