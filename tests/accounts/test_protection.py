"""Market-maker protection on hand-made flows. Source: portfolio-margin.md section 9.4."""

from typing import Any

import pytest

from accounts.account import Account, AccountMode
from exchange.events import CancelReason, OrderAccepted, OrderCancelled, OrderRejected, RejectReason
from exchange.order import OrderType
from tests.accounts.venue import Venue

CALL, PUT = "BTC-USD-250328-100000-C", "BTC-USD-250328-90000-P"
ETH, SWAP = "ETH-USD-250328-4000-C", "BTC-USDT-SWAP"
MS = 10**6


@pytest.fixture
def venue() -> Venue:
    return Venue((CALL, PUT, ETH, SWAP))


@pytest.fixture
def quoter(venue: Venue) -> Account:
    account = venue.account("quoter", BTC="100", USDT="1000000")
    for family in ("BTC-USD", "ETH-USD"):
        venue.house.conditions.protection.configure(
            account, family, limit_lots=10, interval_ms=1_000, frozen_ms=500
        )
    return account


@pytest.fixture
def taker(venue: Venue) -> Account:
    return venue.account("taker", BTC="100", USDT="1000000")


def quote(
    venue: Venue,
    account: Account,
    name: str,
    size: str,
    price: str,
    kind: OrderType = OrderType.MMP,
) -> list[Any]:
    return venue.send(account, name, size, price, kind)


def cancelled(venue: Venue) -> list[tuple[str, CancelReason]]:
    return [
        (event.order.instrument.instrument_id, event.reason)
        for event in venue.events
        if isinstance(event, OrderCancelled)
    ]


def reason_of(events: list[Any]) -> RejectReason | None:
    return events[0].reason if isinstance(events[0], OrderRejected) else None


def test_fills_within_the_window_cancel_the_family_only(
    venue: Venue, quoter: Account, taker: Account
) -> None:
    quote(venue, quoter, CALL, "-20", "0.065")
    quote(venue, quoter, PUT, "-5", "0.025", OrderType.MMP_AND_POST_ONLY)
    quote(venue, quoter, ETH, "-5", "0.065")
    venue.rests(quoter, CALL, "-5", "0.07")  # an ordinary order stays
    venue.send(taker, CALL, "9", "0.065")
    assert cancelled(venue) == []
    venue.send(taker, CALL, "1", "0.065")
    triggered = CancelReason.MMP_TRIGGERED
    assert cancelled(venue) == [(CALL, triggered), (PUT, triggered)]
    assert len(quoter.orders) == 2
    venue.check()


def test_fills_older_than_the_window_do_not_count(
    venue: Venue, quoter: Account, taker: Account
) -> None:
    quote(venue, quoter, CALL, "-40", "0.065")
    venue.send(taker, CALL, "9", "0.065")
    venue.now_ns += 1_000 * MS - 2  # the next order arrives just within one second
    venue.send(taker, CALL, "1", "0.07")
    assert cancelled(venue) == [(CALL, CancelReason.MMP_TRIGGERED)]


def test_a_full_window_later_the_count_starts_again(
    venue: Venue, quoter: Account, taker: Account
) -> None:
    quote(venue, quoter, CALL, "-40", "0.065")
    venue.send(taker, CALL, "9", "0.065")
    venue.now_ns += 1_000 * MS - 1  # exactly one second after the fill
    venue.send(taker, CALL, "9", "0.065")
    assert cancelled(venue) == []


def test_one_sweep_may_go_beyond_the_limit(venue: Venue, quoter: Account, taker: Account) -> None:
    quote(venue, quoter, CALL, "-40", "0.065")
    venue.send(taker, CALL, "25", "0.065")
    assert venue.position(quoter, CALL)[0] == -25
    assert cancelled(venue) == [(CALL, CancelReason.MMP_TRIGGERED)]


def test_frozen_for_the_set_time(venue: Venue, quoter: Account, taker: Account) -> None:
    quote(venue, quoter, CALL, "-10", "0.065")
    venue.send(taker, CALL, "10", "0.065")
    fired = venue.now_ns
    assert reason_of(quote(venue, quoter, PUT, "-1", "0.025")) == RejectReason.MMP_FROZEN
    assert reason_of(quote(venue, quoter, ETH, "-1", "0.065")) is None
    assert reason_of(venue.send(quoter, PUT, "-1", "0.025")) is None  # not a protected order
    venue.now_ns = fired + 500 * MS - 2
    assert reason_of(quote(venue, quoter, PUT, "-1", "0.025")) == RejectReason.MMP_FROZEN
    assert reason_of(quote(venue, quoter, PUT, "-1", "0.025")) is None


def test_frozen_until_reset(venue: Venue, quoter: Account, taker: Account) -> None:
    protection = venue.house.conditions.protection
    protection.configure(quoter, "BTC-USD", limit_lots=1, interval_ms=1, frozen_ms=0)
    quote(venue, quoter, CALL, "-1", "0.065")
    venue.send(taker, CALL, "1", "0.065")
    venue.now_ns += 10**15
    venue.marks()
    refused = quote(venue, quoter, CALL, "-1", "0.065")
    assert reason_of(refused) == RejectReason.MMP_FROZEN
    assert refused[0].detail == "BTC-USD is frozen until it is reset"
    protection.reset(quoter, "BTC-USD")
    assert protection.frozen_until(quoter, "BTC-USD") == 0
    assert reason_of(quote(venue, quoter, CALL, "-1", "0.065")) is None


def test_a_protected_taker_finds_its_family_frozen(
    venue: Venue, quoter: Account, taker: Account
) -> None:
    venue.rests(taker, CALL, "-12", "0.065")
    quote(venue, quoter, PUT, "-1", "0.025")
    events = quote(venue, quoter, CALL, "15", "0.065")
    assert isinstance(events[0], OrderAccepted)
    assert cancelled(venue) == [
        (PUT, CancelReason.MMP_TRIGGERED), (CALL, CancelReason.MMP_FROZEN)
    ]  # fmt: skip
    venue.check()


def test_protected_orders_are_for_options_of_portfolio_margin(
    venue: Venue, quoter: Account, taker: Account
) -> None:
    assert reason_of(quote(venue, taker, CALL, "-1", "0.065")) == RejectReason.MMP_NOT_SET
    assert reason_of(quote(venue, quoter, SWAP, "-1", "100000")) == RejectReason.BAD_ORDER_TYPE
    other = venue.house.open_account("multi", mode=AccountMode.MULTI_CURRENCY)
    venue.house.deposit(1, other, "BTC", 10**8)
    assert reason_of(quote(venue, other, CALL, "-1", "0.065")) == RejectReason.MMP_NOT_OFFERED


@pytest.mark.parametrize("name", ["limit_lots", "interval_ms", "frozen_ms"])
def test_settings_are_bounded(venue: Venue, quoter: Account, name: str) -> None:
    settings = {"limit_lots": 1, "interval_ms": 1, "frozen_ms": 0, name: -1}
    with pytest.raises(ValueError, match=name):
        venue.house.conditions.protection.configure(quoter, "BTC-USD", **settings)
