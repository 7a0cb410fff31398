"""The reasons of refusals and cancellations: their page, and that none of them is idle.

Source: portfolio-margin.md sections 9.5, 12.6.
"""

import re
from pathlib import Path

import pytest

from accounts.account import Account
from accounts.expiry import Expiry
from accounts.funding import Funding
from accounts.market import E8
from exchange.events import CancelReason, OrderCancelled, OrderRejected, RejectReason
from exchange.order import OrderRequest, OrderType, Side, StpMode
from tests.accounts.reasons_page import PAGE, page
from tests.accounts.venue import Venue

ROOT = Path(__file__).parents[2]
SPOT, SWAP, CALL = "BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-250328-100000-C"


def named_in(*packages: str) -> set[str]:
    """The reasons that the sources of packages name."""
    found: set[str] = set()
    for package in packages:
        for path in (ROOT / package).rglob("*.py"):
            if path.name in ("events.py", "reasons_page.py", "fake_run.py", "fake_venue.py"):
                continue
            text = path.read_text(encoding="utf-8")
            found |= set(re.findall(r"(?:RejectReason|CancelReason|R|C)\.([A-Z_]{3,})", text))
    return found


def test_the_page_is_that_of_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.accounts.reasons_page"


def test_codes_are_numbers_and_meanings_differ() -> None:
    assert all(re.fullmatch(r"5\d{4}", reason.okx_code) for reason in RejectReason)
    meanings = [reason.meaning for reason in RejectReason]
    assert len(set(meanings)) == len(meanings)


def test_every_reason_is_used_and_tested() -> None:
    names = {reason.name for reason in (*RejectReason, *CancelReason)}
    assert names - named_in("exchange", "accounts", "scenarios") == set(), "nothing gives it"
    assert names - named_in("tests") == set(), "no test asks for it"


# --- the ones that have no test of their own elsewhere -------------------------------------------


@pytest.fixture
def venue() -> Venue:
    return Venue((SPOT, SWAP, CALL))


@pytest.fixture
def trader(venue: Venue) -> Account:
    return venue.account("trader", USDT="100000", BTC="1")


def reason(venue: Venue, account: Account, request: OrderRequest) -> RejectReason:
    (event,) = venue.house.submit(venue.now_ns, account.number, request)
    assert isinstance(event, OrderRejected)
    return event.reason


def ask(
    name: str, side: Side, lots: int, price: int | None, kind: OrderType = OrderType.LIMIT
) -> OrderRequest:
    return OrderRequest(name, side, kind, lots, price)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (ask("BTC-XYZ", Side.BUY, 1, 1), RejectReason.UNKNOWN_INSTRUMENT),
        (ask(SWAP, Side.BUY, 0, 990_000), RejectReason.BAD_SIZE),
        (ask(SWAP, Side.BUY, 1, None), RejectReason.BAD_PRICE),
        (ask(CALL, Side.BUY, 1, 601), RejectReason.BAD_TICK),
        (ask(CALL, Side.BUY, 1, None, OrderType.MARKET), RejectReason.BAD_ORDER_TYPE),
        (ask(SWAP, Side.BUY, 1, 1_030_000), RejectReason.PRICE_LIMIT_BUY),
        (ask(SWAP, Side.SELL, 1, 970_000), RejectReason.PRICE_LIMIT_SELL),
        (ask(SWAP, Side.BUY, 2**28 + 1, 990_000), RejectReason.POSITION_LIMIT),
        (ask(SWAP, Side.BUY, 500_000, 990_000), RejectReason.INSUFFICIENT_MARGIN),
        (
            OrderRequest(SWAP, Side.BUY, OrderType.FOK, 1, 990_000, stp_mode=StpMode.CANCEL_BOTH),
            RejectReason.BAD_STP_MODE,
        ),
    ],
    ids=lambda value: value.name if isinstance(value, RejectReason) else "",
)
def test_refused_for_the_reason(
    venue: Venue, trader: Account, request_: OrderRequest, expected: RejectReason
) -> None:
    assert reason(venue, trader, request_) == expected
    assert not trader.orders
    venue.check()


def test_borrowing_beyond_the_accounts_limit(venue: Venue) -> None:
    # The limit in BTC is the bound of tier 20: 20 + 5 + 5 + 17 x 20 = 370.
    venue.lend(BTC="10000")
    rich = venue.account("rich", USDT="900000000")
    request = ask(SPOT, Side.SELL, 370_000_001, 1_010_000)
    assert reason(venue, rich, request) == RejectReason.BORROW_LIMIT
    venue.rests(rich, SPOT, "-370", "101000")


def test_funding_takes_what_covered_an_order(venue: Venue) -> None:
    """Auto-borrow off: 1 % of funding on 1 BTC leaves less than the bid for 0.5 BTC needs."""
    maker = venue.account("maker", USDT="10000000")
    trader = venue.account("careful", auto_borrow=False, USDT="60500")
    venue.trade(trader, maker, SWAP, "100", "100000")
    venue.rests(trader, SPOT, "0.6", "100000")
    bid = venue.rests(trader, SWAP, "1", "99000")
    rate = venue.house.rules.funding.model_copy(update={"cap": 0.01, "formula": "no_rate"})
    funding = Funding(venue.house)
    funding.rules = rate
    listing = venue.house.listings[SWAP]
    funding.premiums_e8[listing.number].append(E8 // 100)
    seen = len(venue.events)
    funding.settle(venue.now_ns)
    cancelled = [e for e in venue.events[seen:] if isinstance(e, OrderCancelled)]
    assert [e.order.order_id for e in cancelled] == [bid, bid - 1]
    assert {e.reason for e in cancelled} == {CancelReason.INSUFFICIENT_BALANCE}
    assert not trader.orders
    venue.check()


def test_an_expiring_option_takes_its_orders_along(venue: Venue, trader: Account) -> None:
    order = venue.rests(trader, CALL, "1", "0.06")
    seen = len(venue.events)
    expiry = Expiry(venue.house)
    instrument = venue.house.listings[CALL].instrument
    assert instrument.expiry_ns is not None
    for before_ns in (60 * 10**9, 0):
        venue.now_ns = instrument.expiry_ns - before_ns
        venue.marks()
        expiry.check(venue.now_ns)
    cancelled = [e for e in venue.events[seen:] if isinstance(e, OrderCancelled)]
    assert [(e.order.order_id, e.reason) for e in cancelled] == [
        (order, CancelReason.OPTION_EXPIRY)
    ]
    assert reason(venue, trader, ask(CALL, Side.BUY, 1, 600)) == RejectReason.INSTRUMENT_EXPIRED


def test_a_suspension_ends_all_orders_and_refuses_new_ones(venue: Venue, trader: Account) -> None:
    order = venue.rests(trader, SWAP, "1", "99000")
    listing = venue.house.listings[SWAP]
    seen = len(venue.events)
    venue.house.suspend(venue.now_ns, listing)
    assert [(e.order.order_id, e.reason) for e in venue.events[seen:]] == [
        (order, CancelReason.SYSTEM)
    ]
    request = ask(SWAP, Side.BUY, 1, 990_000)
    assert reason(venue, trader, request) == RejectReason.INSTRUMENT_SUSPENDED
    venue.house.resume(listing)
    venue.rests(trader, SWAP, "1", "99000")
    venue.check()


def test_margin_of_a_long_isolated_option_is_its_premium(venue: Venue, trader: Account) -> None:
    maker = venue.account("maker", BTC="10")
    venue.rests(maker, CALL, "-1", "0.063")
    bought = OrderRequest(CALL, Side.BUY, OrderType.LIMIT, 1, 630, isolated=True)
    venue.house.submit(venue.now_ns, trader.number, bought)
    isolated, listing = venue.house.isolated, venue.house.listings[CALL]
    assert isolated.open(trader, listing).position.lots == 1
    for change in (isolated.add_margin, isolated.remove_margin):
        assert change(venue.now_ns, trader, listing, 1_000) == RejectReason.LONG_OPTION_MARGIN_FIXED
    quote = OrderRequest(CALL, Side.SELL, OrderType.MMP, 1, 650, isolated=True)
    assert reason(venue, trader, quote) == RejectReason.MMP_CROSS_ONLY
    venue.check()
