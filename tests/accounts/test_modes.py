"""Account modes: products, pre-check, switch with open positions, leverage; figures by hand."""

import pytest

from accounts.account import Account, AccountMode
from accounts.events import AccountState
from accounts.insurance import InsuranceFunds
from accounts.modes import (
    CheckCode,
    ineligible,
    precheck,
    set_auto_borrow,
    set_leverage,
    set_spot_cap,
    switch,
)
from accounts.portfolio import portfolio_of
from accounts.risk_control import RiskControl
from exchange.events import OrderRejected, RejectReason
from exchange.order import OrderType
from risk import order_tables as t
from risk.margin import margin_report
from tests.accounts.venue import E8, Venue

SWAP, INVERSE = "BTC-USDT-SWAP", "BTC-USD-SWAP"


def _figures(venue: Venue, account: object) -> list[float]:
    figures: list[float] = venue.house.exposures.figures(account.number).tolist()  # type: ignore[attr-defined]
    return figures


def test_spot_mode_trades_spot_and_never_borrows() -> None:
    venue = Venue(["BTC-USDT", SWAP])
    venue.lend(BTC="10", USDT="100000")
    trader = venue.house.open_account("trader", mode=AccountMode.SPOT)
    venue.house.deposit(venue.now_ns, trader, "USDT", 1_000 * E8)
    refused = venue.send(trader, SWAP, "0.01", "100000")[0]
    assert isinstance(refused, OrderRejected) and refused.reason is RejectReason.ACCOUNT_MODE
    refused = venue.send(trader, "BTC-USDT", "0.01", "100000")[0]  # and 1 USDT of fee
    assert isinstance(refused, OrderRejected)
    assert refused.reason is RejectReason.INSUFFICIENT_BALANCE
    venue.rests(trader, "BTC-USDT", "0.00999", "100000")
    venue.check()


def test_switch_with_an_open_position_shows_margin_before_and_after() -> None:
    venue = Venue([SWAP])
    trader, other = venue.account("trader", USDT="20000"), venue.account("other", USDT="100000")
    venue.trade(other, trader, SWAP, "100", "100000")  # short 100,000 USDT
    check = precheck(venue.house, trader, AccountMode.MULTI_CURRENCY)
    # portfolio margin: 12.2 %, initial x 1.3; position tiers: 0.4 % and 1 / 10 by leverage
    assert check.before.maintenance == pytest.approx(12_200)
    assert check.before.initial == pytest.approx(15_860)
    assert check.after.maintenance == pytest.approx(400)
    assert check.after.initial == pytest.approx(10_000)
    assert check.passed and trader.mode == AccountMode.PORTFOLIO
    assert switch(venue.house, trader, AccountMode.MULTI_CURRENCY).passed
    figures = _figures(venue, trader)
    report = margin_report(portfolio_of(venue.house, trader), venue.house.rules)
    assert figures[t.T_MMR] == pytest.approx(report.total_mmr)
    assert figures[t.T_RATIO] == pytest.approx(report.margin_ratio)
    # and back
    assert switch(venue.house, trader, AccountMode.PORTFOLIO).passed
    assert _figures(venue, trader)[t.T_MMR] == pytest.approx(12_200)
    venue.check()


def test_what_blocks_a_switch() -> None:
    venue = Venue(["BTC-USDT", SWAP])
    venue.lend(BTC="10")
    trader, other = venue.account("trader", USDT="30000"), venue.account("other", USDT="100000")
    venue.trade(other, trader, SWAP, "10", "100000")
    order = venue.rests(trader, SWAP, "-1", "101000")
    check = switch(venue.house, trader, AccountMode.SPOT)
    assert check.code == CheckCode.UNMATCHED
    assert check.obstacles == ("1 open orders", f"positions in {SWAP}")
    venue.house.cancel(venue.now_ns, trader.number, order)
    venue.trade(other, trader, "BTC-USDT", "0.1", "100000")  # 0.1 BTC borrowed and sold
    check = precheck(venue.house, trader, AccountMode.SPOT_AND_FUTURES)
    assert check.obstacles == ("borrowings of BTC",)
    assert trader.mode == AccountMode.PORTFOLIO
    venue.check()


def test_portfolio_margin_asks_for_equity_and_two_declarations() -> None:
    venue = Venue([SWAP])
    small = venue.house.open_account("small", mode=AccountMode.MULTI_CURRENCY)
    venue.house.deposit(venue.now_ns, small, "USDT", 9_999 * E8)
    small.options_experience = False
    assert len(ineligible(venue.house, small)) == 2
    assert not switch(venue.house, small, AccountMode.PORTFOLIO).passed
    venue.house.deposit(venue.now_ns, small, "USDT", E8)
    small.options_experience = True
    assert switch(venue.house, small, AccountMode.PORTFOLIO).passed


def test_a_switch_that_margin_forbids() -> None:
    venue = Venue([SWAP, INVERSE])
    trader = venue.account("trader", USDT="20000", BTC="0.1")
    other = venue.account("other", USDT="100000", BTC="10")
    venue.trade(trader, other, SWAP, "100", "100000")
    venue.trade(other, trader, INVERSE, "1000", "100000")  # hedged: 100,000 USD short
    check = switch(venue.house, trader, AccountMode.MULTI_CURRENCY)
    assert check.code == CheckCode.PASSED  # 20,000 of initial margin, 29,700 of equity
    # alone, 0.1 BTC does not carry a tenth of 1 BTC by the fees
    check = switch(venue.house, trader, AccountMode.SPOT_AND_FUTURES)
    assert check.code == CheckCode.MARGIN_FAILS
    assert check.after.initial == pytest.approx(10_000)
    venue.check()


def test_single_currency_mode_counts_each_currency_alone() -> None:
    venue = Venue([SWAP])
    trader = venue.house.open_account("trader", mode=AccountMode.SPOT_AND_FUTURES)
    venue.house.deposit(venue.now_ns, trader, "BTC", 10 * E8)
    venue.house.deposit(venue.now_ns, trader, "USDT", 1_000 * E8)
    # 10 BTC do not count for a USDT contract: 1,000 USDT carry 9,950 at leverage 10, fees apart
    refused = venue.send(trader, SWAP, "10", "100000")[0]
    assert isinstance(refused, OrderRejected)
    assert refused.reason is RejectReason.INSUFFICIENT_MARGIN
    venue.rests(trader, SWAP, "9.9", "100000")
    venue.check()


def test_leverage_belongs_to_modes_that_have_one() -> None:
    venue = Venue([SWAP])
    listing = venue.house.listings[SWAP]
    trader, other = venue.account("trader", USDT="12000"), venue.account("other", USDT="100000")
    fixed = RejectReason.PORTFOLIO_LEVERAGE_FIXED
    assert set_leverage(venue.house, trader, listing, 5.0) is fixed
    switch(venue.house, trader, AccountMode.MULTI_CURRENCY)
    venue.trade(trader, other, SWAP, "100", "100000")
    assert _figures(venue, trader)[t.T_IMR] == pytest.approx(10_000)
    assert set_leverage(venue.house, trader, listing, 20.0) is None
    assert _figures(venue, trader)[t.T_IMR] == pytest.approx(5_000)
    assert set_leverage(venue.house, trader, listing, 5.0) is RejectReason.INSUFFICIENT_MARGIN
    assert _figures(venue, trader)[t.T_IMR] == pytest.approx(5_000)
    assert set_leverage(venue.house, trader, listing, 101.0) is RejectReason.BAD_LEVERAGE
    assert portfolio_of(venue.house, trader).leverage == {SWAP: 20.0}
    venue.check()


def test_spot_caps_and_auto_borrow() -> None:
    venue = Venue([SWAP, "BTC-USDT"])
    venue.lend(USDT="100000")
    trader, other = venue.account("trader", BTC="1"), venue.account("other", USDT="100000")
    venue.trade(other, trader, SWAP, "100", "100000")  # short 1 BTC against 1 BTC of spot
    hedged = _figures(venue, trader)[t.T_MMR]
    assert set_spot_cap(venue.house, trader, "BTC", 0.0) is None
    assert _figures(venue, trader)[t.T_MMR] > hedged
    assert set_spot_cap(venue.house, trader, "BTC", float("inf")) is None
    assert _figures(venue, trader)[t.T_MMR] == hedged
    assert set_spot_cap(venue.house, trader, "BTC", -1.0) is RejectReason.BAD_SPOT_CAP
    assert set_spot_cap(venue.house, trader, "XYZ", 1.0) is RejectReason.BAD_SPOT_CAP
    # the fee of 20 USDT was borrowed: auto-borrow cannot be turned off before it is repaid
    assert set_auto_borrow(venue.house, trader, False) == "repay what is owed first"
    venue.house.deposit(venue.now_ns, trader, "USDT", 20 * E8)
    assert set_auto_borrow(venue.house, trader, False) is None
    refused = venue.send(trader, "BTC-USDT", "0.001", "100000")[0]
    assert isinstance(refused, OrderRejected)
    assert refused.reason is RejectReason.INSUFFICIENT_BALANCE
    venue.check()


def _two_currencies(usdt: str, btc: str, leverage: float, *, long: bool) -> tuple[Venue, Account]:
    """Long 1 BTC in USDT, maintenance 400 USD, and 10 million USD in BTC, maintenance 70,000."""
    venue = Venue([SWAP, INVERSE])
    trader = venue.house.open_account("trader", mode=AccountMode.SPOT_AND_FUTURES)
    other = venue.account("other", USDT="1000000", BTC="10000")
    for currency, amount in (("USDT", usdt), ("BTC", btc)):
        venue.house.deposit(venue.now_ns, trader, currency, round(float(amount) * E8))
    set_leverage(venue.house, trader, venue.house.listings[SWAP], leverage)
    venue.trade(trader, other, SWAP, "100", "100000")
    pair = (trader, other) if long else (other, trader)
    venue.trade(*pair, INVERSE, "100000", "100000")
    return venue, trader


def test_the_weakest_currencys_margin_is_set_against_its_own_equity() -> None:
    # USDT has the lower ratio, BTC less to spare; 5,000 USDT need not cover BTC's million
    venue, trader = _two_currencies("5100", "10.08", 100.0, long=True)
    order = venue.rests(trader, SWAP, "0.01", "99000")
    figures = _figures(venue, trader)
    assert figures[t.T_RATIO] == pytest.approx(5_050 / 400)
    assert figures[t.T_COVERING] == pytest.approx(1_003_000)
    assert figures[t.T_COVERED] == pytest.approx(1_000_000)
    RiskControl(venue.house, InsuranceFunds(venue.house)).check(venue.now_ns)
    assert trader.state is AccountState.HEALTHY
    assert order in trader.orders


def test_order_control_sees_the_currency_that_has_too_little() -> None:
    # BTC has the lower ratio and much to spare, USDT 8,650 for its initial margin of 9,850
    venue, trader = _two_currencies("10200", "10.6", 10.0, long=False)
    order = venue.rests(trader, SWAP, "0.01", "99000")
    venue.marks(BTC="98500")
    figures = _figures(venue, trader)
    assert figures[t.T_ADJUSTED] > 1_000_000
    assert figures[t.T_COVERING] == pytest.approx(8_650, abs=1)
    assert figures[t.T_COVERED] == pytest.approx(9_851, abs=1)
    RiskControl(venue.house, InsuranceFunds(venue.house)).check(venue.now_ns)
    assert trader.state is AccountState.ORDER_CONTROL
    assert order not in trader.orders


def test_the_last_rule_for_immediate_orders_compares_one_currency() -> None:
    # short of initial margin in USDT: closing is allowed, opening more is not, whatever BTC has
    venue, trader = _two_currencies("10200", "10.6", 10.0, long=False)
    venue.marks(BTC="98500")
    other = venue.house.accounts[1]
    venue.rests(other, SWAP, "10", "98500")
    closed = venue.send(trader, SWAP, "-10", "98500", OrderType.IOC)
    assert not isinstance(closed[0], OrderRejected)
    venue.rests(other, SWAP, "-10", "98500")
    refused = venue.send(trader, SWAP, "10", "98500", OrderType.IOC)[0]
    assert isinstance(refused, OrderRejected)
    assert refused.reason is RejectReason.INSUFFICIENT_MARGIN
