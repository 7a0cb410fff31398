"""Account modes: products, pre-check, switch with open positions, leverage; figures by hand."""

import pytest

from accounts.account import AccountMode
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
from exchange.events import OrderRejected, RejectReason
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
