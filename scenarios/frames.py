"""From recorded columns to polars frames that a person reads: names, and prices beside ticks.

Integer columns stay as they are recorded; every decoded or derived column stands beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from accounts.events import AccountState, LiquidationStage, PostingKind
from exchange.events import CancelReason, RejectReason
from exchange.instrument import Instrument, InstrumentKind
from exchange.order import OrderType
from scenarios.tables import Columns, Rows

ORDER_EVENTS = ("accepted", "rejected", "cancelled", "amended")
REJECT_CODE_BASE = 1000
REJECT_CODES = {reason: REJECT_CODE_BASE + i for i, reason in enumerate(RejectReason)}
"""Reject reasons in the orders table; cancel reasons keep their venue codes, below 1000."""


class Naming:
    """Names for codes, as a polars Enum: an array lookup, and a byte a row on disk."""

    def __init__(self, names: dict[int, str]) -> None:
        self.names = names
        words = list(dict.fromkeys(names.values()))
        self._words = pl.Series(words, dtype=pl.Enum(words))
        position = {name: i for i, name in enumerate(words)}
        self._lowest = min(names)
        self._positions = np.zeros(max(names) - self._lowest + 1, dtype=np.uint32)
        for code, name in names.items():
            self._positions[code - self._lowest] = position[name]

    def series(self, name: str, codes: NDArray[np.int64]) -> pl.Series:
        """The names of `codes`."""
        return self._words.gather(self._positions[codes - self._lowest]).alias(name)


def _names(enum: type[IntEnum]) -> dict[int, str]:
    return {int(member): member.name.lower() for member in enum}


NO_REASON: Final = -1
NO_INSTRUMENT: Final = -1
"""Number of an instrument that does not exist, or of a row that is about none."""
REASON_NAMES = {code: reason.name.lower() for reason, code in REJECT_CODES.items()}
REASON_NAMES |= _names(CancelReason)
STAGE_NAMES = _names(LiquidationStage)
_REASONS = Naming({NO_REASON: "", **REASON_NAMES})
_STAGES = Naming(STAGE_NAMES)
_STATES = Naming(_names(AccountState))
_POSTINGS = Naming(_names(PostingKind))
_ORDER_TYPES = Naming(_names(OrderType))
_ORDER_EVENTS = Naming(dict(enumerate(ORDER_EVENTS)))
_SIDES = Naming({1: "buy", -1: "sell", 0: ""})


class InstrumentTable:
    """Per instrument, as arrays: price of a tick, size of a lot, and how notional is reckoned."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self.ids = [i.instrument_id for i in instruments]
        self._tick = _ratios([i.tick for i in instruments])
        self._lot = _ratios([i.lot for i in instruments])
        units = [
            Fraction(i.lot) * Fraction(i.contract_value) * Fraction(i.contract_multiplier)
            for i in instruments
        ]
        self.units_per_lot = np.array([float(u) for u in units])
        # Inverse contracts are USD face, options coins: neither is multiplied by its own price.
        self.priced = np.array(
            [not i.inverse and i.kind != InstrumentKind.OPTION for i in instruments], dtype=bool
        )

    def price(self, instrument: NDArray[np.int64], ticks: NDArray[np.int64]) -> NDArray[np.float64]:
        """Float price nearest to ticks x tick."""
        numerator, denominator = self._tick
        return np.asarray(ticks * numerator[instrument] / denominator[instrument])

    def size(self, instrument: NDArray[np.int64], lots: NDArray[np.int64]) -> NDArray[np.float64]:
        """Contracts (spot: coins)."""
        numerator, denominator = self._lot
        return np.asarray(lots * numerator[instrument] / denominator[instrument])

    def notional_usd(self, rows: Rows | Columns) -> NDArray[np.float64]:
        """USD value of fill rows at their own price (options: of the underlying coins)."""
        instrument = rows["instrument"]
        value = rows["size_lots"] * self.units_per_lot[instrument] * (rows["usd_rate_e8"] / 1e8)
        price = self.price(instrument, rows["price_ticks"])
        return np.asarray(np.where(self.priced[instrument], value * price, value))


def _ratios(values: list[Decimal]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numerators and denominators: ticks x numerator / denominator rounds only once.

    The last pair is NaN: what the number of no instrument, -1, finds.
    """
    fractions = [Fraction(v) for v in values]
    return (
        np.array([*(float(f.numerator) for f in fractions), np.nan]),
        np.array([*(float(f.denominator) for f in fractions), 1.0]),
    )


def usd_currency(instrument: Instrument) -> str:
    """The currency whose USD price turns the instrument's notional into USD."""
    if instrument.inverse:
        return "USD"
    return instrument.base if instrument.kind == InstrumentKind.OPTION else instrument.quote


class FrameBuilder:
    """Decodes pieces of the fixed tables, given as columns."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self.table = InstrumentTable(instruments)
        self._ids = Naming({NO_INSTRUMENT: "", **dict(enumerate(self.table.ids))})

    def frame(self, name: str, rows: Columns, words: Sequence[str]) -> pl.DataFrame:
        """The frame of a piece; `words` are the table's words, at least those of the piece."""
        frame = pl.DataFrame(rows)
        decode = getattr(self, f"_decode_{name}", None)
        return frame if decode is None else decode(frame, rows, words)

    def _instruments(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(self._ids.series("instrument", frame["instrument"].to_numpy()))

    def _prices(self, rows: Columns, **ticks: str) -> list[pl.Series]:
        """Float price columns from tick columns."""
        return [
            pl.Series(name, self.table.price(rows["instrument"], rows[column])).fill_nan(None)
            for name, column in ticks.items()
        ]

    def _sizes(self, rows: Columns, **lots: str) -> list[pl.Series]:
        return [
            pl.Series(name, self.table.size(rows["instrument"], rows[column])).fill_nan(None)
            for name, column in lots.items()
        ]

    def _decode_orders(
        self, frame: pl.DataFrame, rows: Columns, words: Sequence[str]
    ) -> pl.DataFrame:
        return self._instruments(frame).with_columns(
            _REASONS.series("reason", rows["reason"]),
            _ORDER_EVENTS.series("event", rows["event"]),
            _SIDES.series("side", rows["side"]),
            _ORDER_TYPES.series("order_type", rows["order_type"]),
            *self._prices(rows, price="price_ticks"),
            *self._sizes(rows, size="size_lots", remaining="remaining_lots"),
        )

    def _decode_fills(
        self, frame: pl.DataFrame, rows: Columns, words: Sequence[str]
    ) -> pl.DataFrame:
        return self._instruments(frame).with_columns(
            _SIDES.series("taker_side", rows["taker_side"]),
            *self._prices(rows, price="price_ticks"),
            *self._sizes(rows, size="size_lots"),
            pl.Series("notional_usd", self.table.notional_usd(rows)),
        )

    def _decode_accounts(
        self, frame: pl.DataFrame, rows: Columns, words: Sequence[str]
    ) -> pl.DataFrame:
        return frame.with_columns(_STATES.series("state", rows["state"]))

    def _decode_states(
        self, frame: pl.DataFrame, rows: Columns, words: Sequence[str]
    ) -> pl.DataFrame:
        return frame.with_columns(
            _STATES.series("state", rows["state"]), _STATES.series("old_state", rows["old_state"])
        )

    def _decode_liquidations(
        self, frame: pl.DataFrame, rows: Columns, words: Sequence[str]
    ) -> pl.DataFrame:
        return self._instruments(frame).with_columns(
            _STAGES.series("stage", rows["stage"]),
            _SIDES.series("side", rows["side"]),
            *self._sizes(rows, wanted="wanted_lots", filled="filled_lots"),
            *self._prices(rows, limit_price="limit_ticks"),
            unit=_chosen(words, frame["unit"]),
            reason=_chosen(words, frame["reason"]),
        )

    def _decode_bankruptcies(
        self, frame: pl.DataFrame, rows: Columns, words: Sequence[str]
    ) -> pl.DataFrame:
        return frame.with_columns(pools=_chosen(words, frame["pools"]))

    def _decode_deleveragings(
        self, frame: pl.DataFrame, rows: Columns, words: Sequence[str]
    ) -> pl.DataFrame:
        return self._instruments(frame).with_columns(
            *self._prices(rows, price="price_ticks", mark="mark_ticks"),
            *self._sizes(rows, size="lots"),
        )

    def _decode_funds(
        self, frame: pl.DataFrame, rows: Columns, words: Sequence[str]
    ) -> pl.DataFrame:
        return frame.with_columns(
            pool=_chosen(words, frame["pool"]), currency=_chosen(words, frame["currency"])
        )

    def _decode_positions(
        self, frame: pl.DataFrame, rows: Columns, words: Sequence[str]
    ) -> pl.DataFrame:
        return self._instruments(frame).with_columns(*self._sizes(rows, size="lots"))

    def _decode_funding(
        self, frame: pl.DataFrame, rows: Columns, words: Sequence[str]
    ) -> pl.DataFrame:
        return self._instruments(frame).with_columns(
            (pl.col("rate_e8") / 1e8).alias("rate"), *self._prices(rows, mark="mark_ticks")
        )

    def _decode_deliveries(
        self, frame: pl.DataFrame, rows: Columns, words: Sequence[str]
    ) -> pl.DataFrame:
        return self._instruments(frame).with_columns((pl.col("price_e8") / 1e8).alias("price"))

    def _decode_marks(
        self, frame: pl.DataFrame, rows: Columns, words: Sequence[str]
    ) -> pl.DataFrame:
        quoted = {"last": "last_ticks", "best_bid": "bid_ticks", "best_ask": "ask_ticks"}
        frame = self._instruments(frame).with_columns(
            (pl.col("index_e8") / 1e8).alias("index"),
            *self._prices(rows, mark="mark_ticks", **quoted),
            *self._sizes(rows, open_interest="open_interest_lots"),
            *(
                pl.Series(c.removesuffix("_lots"), self.table.size(rows["instrument"], rows[c]))
                for c in frame.columns
                if c.startswith(("bid_depth", "ask_depth"))
            ),
        )
        # A side without orders has no price: null, never 0.
        return frame.with_columns(
            *(
                pl.when(pl.col(ticks) > 0).then(pl.col(name)).alias(name)
                for name, ticks in quoted.items()
            ),
            pl.when(pl.col("open_interest_lots") >= 0)
            .then(pl.col("open_interest"))
            .alias("open_interest"),
        )


class LedgerFrames:
    """Decodes pieces of the ledger's rows; `names` and `currencies` of all ledger accounts."""

    def __init__(self, names: Sequence[str], currencies: Sequence[str]) -> None:
        self._names = pl.Series(names, dtype=pl.String)
        self._currencies = pl.Series(currencies, dtype=pl.String)

    def frame(self, rows: Columns) -> pl.DataFrame:
        """The frame of a piece. Atoms stay integers; the currency gives their size. O(rows)."""
        return pl.DataFrame(rows).with_columns(
            _POSTINGS.series("kind", rows["kind"]),
            self._names.gather(rows["debit"]).alias("debit"),
            self._names.gather(rows["credit"]).alias("credit"),
            self._currencies.gather(rows["debit"]).alias("currency"),
        )


def _chosen(words: Sequence[str], numbers: pl.Series) -> pl.Series:
    return pl.Series(numbers.name, words, dtype=pl.String).gather(numbers)
