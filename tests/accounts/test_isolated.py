"""Isolated positions by hand: margin in and out, reductions, funding, and what is left over.

BTC-USDT-SWAP: a contract is 0.01 BTC, a lot 0.01 contracts; 10 contracts at 100,000 USDT are worth
10,000 USDT. Leverage 10 asks for 1,000 of initial margin; maintenance in the first tier is 0.4 %;
the taker pays 0.05 % (5 USDT) and the maker 0.02 % (2 USDT). All amounts below are atoms of 1e-8.

Source: portfolio-margin.md sections 2.3, 16.18.
"""

from typing import Any

import pytest

from accounts.account import AccountMode
from accounts.expiry import Expiry
from accounts.funding import Funding
from accounts.isolated import Isolated
from accounts.modes import precheck
from accounts.order_entry import OrderEntry
from accounts.portfolio import portfolio_of
from exchange.events import CancelReason, Fill, OrderCancelled, OrderRejected, RejectReason
from exchange.order import OrderRequest, OrderType, Side
from exchange.units import to_atoms
from risk.margin import margin_report
from risk.order_tables import M_REFERENCE
from tests.accounts.venue import Venue

SPOT, SWAP, INVERSE, CALL = "BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP", "BTC-USD-250328-100000-C"
USDT = 10**8


class Desk:
    """A venue with a trader who isolates, and a rich other side."""

    def __init__(self) -> None:
        self.venue = Venue((SPOT, SWAP, INVERSE, CALL))
        self.house = self.venue.house
        self.venue.lend(USDT="10000000", BTC="1000")
        self.trader = self.venue.account("trader", USDT="10000", BTC="1")
        self.other = self.venue.account("other", USDT="10000000", BTC="1000")

    def send(
        self,
        size: str,
        price: str | None,
        name: str = SWAP,
        order_type: OrderType = OrderType.LIMIT,
        *,
        reduce_only: bool = False,
    ) -> list[Any]:
        """An isolated order of the trader."""
        instrument = self.house.listings[name].instrument
        lots = instrument.size_lots(size)
        self.venue.now_ns += 1
        request = OrderRequest(
            name,
            Side.BUY if lots > 0 else Side.SELL,
            order_type,
            abs(lots),
            None if price is None else instrument.price_ticks(price),
            reduce_only=reduce_only,
            isolated=True,
        )
        return self.house.submit(self.venue.now_ns, self.trader.number, request)

    def take(self, size: str, price: str, name: str = SWAP) -> None:
        """The trader takes what the other side offers."""
        opposite = size[1:] if size.startswith("-") else f"-{size}"
        self.venue.rests(self.other, name, opposite, price)
        events = self.send(size, price, name)
        assert any(type(event) is Fill for event in events), events

    def held(self, name: str = SWAP) -> Isolated:
        return self.house.isolated.open(self.trader, self.house.listings[name])

    def margin(self, name: str = SWAP) -> int:
        return self.house.isolated.margin_atoms(self.held(name))

    def inside(self, name: str = SWAP) -> int:
        """Cash of the isolated position."""
        return self.venue.cash(self.held(name).account, self.held(name).cash.currency)

    def outside(self, currency: str = "USDT") -> int:
        return self.venue.cash(self.trader, currency)

    def lots(self, name: str = SWAP) -> int:
        return self.held(name).position.lots


@pytest.fixture
def desk() -> Desk:
    return Desk()


def refused(events: list[Any]) -> RejectReason:
    (event,) = events
    assert isinstance(event, OrderRejected), event
    return event.reason


# --- orders --------------------------------------------------------------------------------------


def test_a_resting_order_holds_its_margin_and_a_cancellation_returns_it(desk: Desk) -> None:
    """10 contracts to buy at 99,000, below the mark: 1,000 at mark value and the fee on the mark
    value, 5; no pending loss."""
    events = desk.send("10", "99000")
    assert desk.inside() == 1_005 * USDT
    assert desk.outside() == 8_995 * USDT
    assert desk.margin() == 0  # it is the order's, not the position's
    order = events[0].order
    assert (order.owner, order.holder) == (desk.trader.number, desk.held().account.number)
    (gone,) = desk.house.cancel(desk.venue.now_ns, desk.trader.number, order.order_id)
    assert type(gone) is OrderCancelled
    assert (desk.inside(), desk.outside()) == (0, 10_000 * USDT)
    desk.venue.check()


def test_opening_moves_the_initial_margin_in_and_pays_the_fee_from_it(desk: Desk) -> None:
    desk.take("10", "100000")
    assert desk.lots() == 1_000
    assert desk.trader.positions.get(desk.house.listings[SWAP].number) is None
    assert (desk.inside(), desk.outside()) == (1_000 * USDT, 8_995 * USDT)
    figures = desk.house.isolated.figures(desk.held())
    assert figures.maintenance == pytest.approx(40.0)
    assert figures.closing_fee == pytest.approx(5.0)
    assert figures.ratio == pytest.approx(1_000 / 45)
    desk.venue.check()


def test_a_better_price_than_the_limit_returns_what_was_held_for_it(desk: Desk) -> None:
    """A limit of 101,000 on a mark of 100,000 may lose 100, which 16.17 counts in the balance after
    the fill and as a pending loss: 1,205 are held. A fill at 100,000 needs none of it."""
    order = desk.send("10", "101000")[0].order
    assert desk.inside() == 1_205 * USDT
    desk.house.cancel(desk.venue.now_ns, desk.trader.number, order.order_id)
    desk.venue.rests(desk.other, SWAP, "-10", "100000")
    desk.send("10", "101000")
    assert desk.outside() + desk.inside() == 9_995 * USDT
    assert desk.inside() == 1_000 * USDT


def test_adding_to_a_position_brings_its_own_margin(desk: Desk) -> None:
    desk.take("10", "100000")
    desk.take("10", "100000")
    assert desk.lots() == 2_000
    assert (desk.inside(), desk.outside()) == (2_000 * USDT, 7_990 * USDT)


def test_a_reduction_returns_its_share_of_the_margin_and_its_profit(desk: Desk) -> None:
    """Long 10 at 100,000 with 1,000. At a mark of 110,000, 4 contracts are sold at 110,000: profit
    0.04 x 10,000 = 400, fee 4,400 x 0.05 % = 2.20. The other 6 keep 600 (initial margin at the new
    mark 660, equity 600 + 600): 400 of margin and 397.80 of profit leave."""
    desk.take("10", "100000")
    desk.venue.marks(BTC="110000")
    desk.take("-4", "110000")
    assert desk.lots() == 600
    assert desk.margin() == 600 * USDT
    assert desk.outside() == to_atoms("9792.80", "USDT")  # 8,995 + 400 + 397.80
    # profit 600, fee 6,600 x 0.05 % = 3.30; the table of docs/isolated.md
    desk.take("-6", "110000")
    assert (desk.inside(), desk.outside()) == (0, to_atoms("10989.50", "USDT"))
    desk.venue.check()


def test_a_reduction_never_leaves_less_than_the_initial_margin(desk: Desk) -> None:
    """At 95,000 half is closed: loss 250, fee 4,750 x 0.05 % = 2.375. The other half keeps 500 of
    1,000 by its share, which would leave 500 - 252.375 to go; but its equity is then 250 only, and
    475 are needed: 747.625 - 250 - 475 = 22.625 may leave."""
    desk.take("10", "100000")
    desk.venue.marks(BTC="95000")
    desk.take("-5", "95000")
    assert desk.lots() == 500
    assert desk.outside() == to_atoms("9017.625", "USDT")  # 8,995 + 22.625
    assert desk.margin() == to_atoms("725", "USDT")
    desk.venue.check()


def test_closing_returns_the_rest(desk: Desk) -> None:
    """Long 10 at 100,000, closed at 101,000: + 100, - 5.05 of fees, all margin back."""
    desk.take("10", "100000")
    desk.venue.marks(BTC="101000")
    desk.take("-10", "101000")
    assert (desk.lots(), desk.inside()) == (0, 0)
    assert desk.outside() == to_atoms("10089.95", "USDT")  # 10,000 - 5 + 100 - 5.05
    desk.venue.check()


def test_through_zero_keeps_the_initial_margin_of_the_new_side(desk: Desk) -> None:
    """Long 10, 15 sold at 100,000: the order brings its fee of 7.50 only: the largest fill set
    is the 10 held; 5 short remain, and need 500."""
    desk.take("10", "100000")
    desk.take("-15", "100000")
    assert desk.lots() == -500
    assert desk.margin() == 500 * USDT
    assert desk.outside() == to_atoms("9487.50", "USDT")  # 10,000 - 5 - 7.50 - 500
    desk.venue.check()


def test_an_order_that_closes_brings_nothing(desk: Desk) -> None:
    desk.take("10", "100000")
    desk.send("-10", "101000", reduce_only=True)
    assert desk.inside() == 1_000 * USDT
    assert len(desk.held().account.orders) == 1
    events = desk.send("-10", "101000", reduce_only=True)
    assert refused(events) == RejectReason.REDUCE_ONLY_SIZE


def test_what_the_parent_cannot_give_is_refused_whole(desk: Desk) -> None:
    """100 contracts need 10,050."""
    assert refused(desk.send("100", "100000")) == RejectReason.INSUFFICIENT_BALANCE
    assert (desk.inside(), desk.outside()) == (0, 10_000 * USDT)
    assert refused(desk.send("1", "100000", SPOT)) == RejectReason.ACCOUNT_MODE


def test_the_parent_keeps_its_own_initial_margin(desk: Desk) -> None:
    """A cross position is there first: what it needs may not leave."""
    desk.venue.trade(desk.trader, desk.other, SWAP, "640", "100000")
    assert refused(desk.send("70", "100000")) == RejectReason.INSUFFICIENT_MARGIN
    assert desk.inside() == 0
    desk.venue.check()


def test_an_owner_never_trades_with_itself(desk: Desk) -> None:
    """The cross order rests; the isolated one that would meet it cancels it."""
    desk.venue.rests(desk.trader, SWAP, "-10", "100000")
    events = desk.send("10", "100000")
    (gone,) = [event for event in events if type(event) is OrderCancelled]
    assert gone.reason == CancelReason.SELF_TRADE
    assert not any(type(event) is Fill for event in events)
    assert desk.inside() == 1_005 * USDT
    desk.venue.check()


def test_cancel_all_of_the_parent_takes_isolated_orders_along(desk: Desk) -> None:
    desk.send("10", "99000")
    desk.venue.rests(desk.trader, SWAP, "1", "99000")
    assert len(desk.house.cancel_all(desk.venue.now_ns, desk.trader.number)) == 2
    assert desk.outside() == 10_000 * USDT


def test_an_order_filled_in_parts_hands_its_margin_over_in_parts(desk: Desk) -> None:
    """10 contracts rest at 99,000 with 1,005. 4 fill: 402 become the position's, less the maker's
    fee of 3,960 x 0.02 % = 0.792. The rest, cancelled, takes 603 back."""
    order = desk.send("10", "99000")[0].order
    desk.venue.send(desk.other, SWAP, "-4", "99000")
    assert desk.margin() == to_atoms("401.208", "USDT")
    desk.house.cancel(desk.venue.now_ns, desk.trader.number, order.order_id)
    assert desk.margin() == desk.inside() == to_atoms("401.208", "USDT")
    assert desk.outside() == 9_598 * USDT
    desk.venue.check()


# --- margin and leverage -------------------------------------------------------------------------


def test_margin_is_added_and_removed_down_to_the_initial_margin(desk: Desk) -> None:
    listing, isolated, now = desk.house.listings[SWAP], desk.house.isolated, desk.venue.now_ns
    none = RejectReason.NO_ISOLATED_POSITION
    assert isolated.add_margin(now, desk.trader, listing, 1) is none
    assert isolated.remove_margin(now, desk.trader, listing, 1) is none
    desk.take("10", "100000")
    assert isolated.add_margin(now, desk.trader, listing, 500 * USDT) is None
    assert (desk.margin(), desk.outside()) == (1_500 * USDT, 8_495 * USDT)
    too_much = isolated.remove_margin(now, desk.trader, listing, 500 * USDT + 1)
    assert too_much is RejectReason.INSUFFICIENT_MARGIN
    assert isolated.remove_margin(now, desk.trader, listing, 500 * USDT) is None
    assert (desk.margin(), desk.outside()) == (1_000 * USDT, 8_995 * USDT)
    poor = isolated.add_margin(now, desk.trader, listing, 8_995 * USDT + 1)
    assert poor is RejectReason.INSUFFICIENT_BALANCE
    desk.venue.check()


def test_leverage_of_its_own(desk: Desk) -> None:
    """At 20 the same position needs 500; at 5 it needs 2,000, which is not there."""
    listing, isolated = desk.house.listings[SWAP], desk.house.isolated
    assert isolated.set_leverage(desk.trader, listing, 20.0) is None
    desk.take("10", "100000")
    assert desk.margin() == 500 * USDT
    assert isolated.set_leverage(desk.trader, listing, 5.0) is RejectReason.INSUFFICIENT_MARGIN
    assert isolated.set_leverage(desk.trader, listing, 0.5) is RejectReason.BAD_LEVERAGE


def test_funding_is_paid_from_the_position(desk: Desk) -> None:
    """1 % on 10,000 at mark: 100 to the shorts."""
    desk.take("10", "100000")
    funding = Funding(desk.house)
    funding.premiums_e8[desk.house.listings[SWAP].number].append(10**6)
    rate = funding.rate_e8(desk.house.listings[SWAP])
    funding.settle(desk.venue.now_ns)
    paid = 10_000 * rate
    assert paid > 0
    assert (desk.inside(), desk.outside()) == (1_000 * USDT - paid, 8_995 * USDT)
    desk.venue.check()


# --- other products, and the report --------------------------------------------------------------


def test_a_coin_margined_position_is_margined_in_its_coin(desk: Desk) -> None:
    """100 contracts of 100 USD at 100,000: 0.1 BTC; initial margin 0.01 BTC, fee 0.00005 BTC."""
    desk.take("100", "100000", INVERSE)
    assert (desk.inside(INVERSE), desk.outside("BTC")) == (1_000_000, 98_995_000)
    desk.take("-100", "100000", INVERSE)
    assert (desk.inside(INVERSE), desk.outside("BTC")) == (0, 99_990_000)
    desk.venue.check()


def test_long_options_bring_their_premium(desk: Desk) -> None:
    """10 contracts of 0.01 BTC at 0.065: 0.0065 BTC and a fee of 0.1 x 0.03 % = 0.00003 BTC."""
    desk.take("10", "0.065", CALL)
    assert (desk.inside(CALL), desk.outside("BTC")) == (0, 100_000_000 - 653_000)
    assert desk.margin(CALL) == 650_000
    desk.take("-10", "0.065", CALL)
    assert (desk.inside(CALL), desk.outside("BTC")) == (0, 100_000_000 - 6_000)
    desk.venue.check()


def test_the_report_says_the_same(desk: Desk) -> None:
    """Perpetual, coin-margined and short option: margin, profit, margins and ratio."""
    desk.take("10", "100000")
    desk.take("-100", "100000", INVERSE)
    desk.take("-10", "0.065", CALL)
    desk.venue.marks(BTC="103000")
    report = margin_report(portfolio_of(desk.house, desk.trader), desk.house.rules)
    assert [row.inst_id for row in report.isolated] == [SWAP, INVERSE, CALL]
    for row in report.isolated:
        held = desk.held(row.inst_id)
        figures = desk.house.isolated.figures(held)
        scale = desk.house.market.atoms[held.cash.currency]
        assert row.margin * scale == pytest.approx(figures.margin_atoms)
        assert row.upl * scale == pytest.approx(figures.upl_atoms, abs=1.0)
        assert row.mmr == pytest.approx(figures.maintenance, rel=1e-9)
        assert row.margin_ratio == pytest.approx(figures.ratio, rel=1e-4)


# --- amending, client order ids, modes -----------------------------------------------------------


def test_an_amendment_brings_what_it_needs_more_or_changes_nothing(desk: Desk) -> None:
    """From 10 to 20 contracts: 2,010 are held; to 200 there is not enough: all as it was. Half of
    the 20 fills: the position has 1,005, less the maker's fee of 9,900 x 0.02 % = 1.98."""
    order = desk.send("10", "99000")[0].order
    number, now = desk.trader.number, desk.venue.now_ns
    desk.house.amend(now, number, order.order_id, 2_000)
    assert (desk.inside(), desk.outside()) == (2_010 * USDT, 7_990 * USDT)
    events = desk.house.amend(now, number, order.order_id, 20_000)
    assert refused(events) == RejectReason.AMEND_INSUFFICIENT_MARGIN
    assert (desk.inside(), desk.outside()) == (2_010 * USDT, 7_990 * USDT)
    desk.venue.send(desk.other, SWAP, "-10", "99000")
    assert desk.margin() == to_atoms("1003.02", "USDT")
    desk.house.cancel(now, number, order.order_id)
    assert (desk.margin(), desk.outside()) == (to_atoms("1003.02", "USDT"), 8_995 * USDT)
    desk.venue.check()


def test_client_order_ids_are_the_owners(desk: Desk) -> None:
    request = OrderRequest(SWAP, Side.BUY, OrderType.LIMIT, 100, 990_000, "mine", isolated=True)
    desk.house.submit(desk.venue.now_ns, desk.trader.number, request)
    for isolated in (True, False):
        again = OrderRequest(
            SWAP, Side.BUY, OrderType.LIMIT, 100, 990_000, "mine", isolated=isolated
        )
        events = desk.house.submit(desk.venue.now_ns, desk.trader.number, again)
        assert refused(events) == RejectReason.DUPLICATE_CLIENT_ORDER_ID
    (gone,) = OrderEntry(desk.house).cancel(desk.venue.now_ns, desk.trader.number, "mine")
    assert type(gone) is OrderCancelled
    assert desk.outside() == 10_000 * USDT


def test_isolated_orders_and_positions_stand_in_the_way_of_a_mode(desk: Desk) -> None:
    desk.take("1", "100000")
    desk.send("1", "99000")
    check = precheck(desk.house, desk.trader, AccountMode.SPOT)
    assert check.obstacles == ("1 open orders", f"positions in {SWAP}")


def test_delivery_returns_the_rest() -> None:
    """A long future of 0.01 BTC at 100,000, delivered at 104,000: + 40, less the taker's 0.50 and
    0.01 % of 1,040 = 0.104."""
    future = "BTC-USDT-250328"
    venue = Venue((future,))
    trader, other = venue.account("trader", USDT="10000"), venue.account("other", USDT="10000")
    expiry = Expiry(venue.house)
    listing = venue.house.listings[future]
    venue.rests(other, future, "-1", "100000")
    request = OrderRequest(future, Side.BUY, OrderType.LIMIT, 100, 1_000_000, isolated=True)
    venue.house.submit(venue.now_ns, trader.number, request)
    held = venue.house.isolated.open(trader, listing)
    assert held.position.lots == 100
    assert venue.cash(held.account, "USDT") == 100 * USDT
    expiry_ns = listing.instrument.expiry_ns
    assert expiry_ns is not None
    for venue.now_ns in (expiry_ns - 3_600 * 10**9, expiry_ns):
        venue.marks(BTC="104000")
        expiry.check(venue.now_ns)
    assert (held.position.lots, venue.cash(held.account, "USDT")) == (0, 0)
    assert venue.cash(trader, "USDT") == to_atoms("10039.396", "USDT")
    venue.check()


def test_a_short_option_is_margined_by_its_own_rule(desk: Desk) -> None:
    """0.1 BTC of a call at the money: initial margin 0.15 + mark, maintenance margin 0.03 + mark,
    each per coin (section 11.8). The order brings the initial margin and the fee, 0.00003 BTC; the
    premium of 0.0065 BTC stays inside and stands against the position."""
    desk.take("-10", "0.065", CALL)
    number = desk.house.listings[CALL].number
    mark = float(desk.house.market.terms[number, M_REFERENCE]) * 0.0001
    initial = 0.1 * (0.15 + mark) * 1e8
    assert 1e8 - desk.outside("BTC") == pytest.approx(initial + 3_000, abs=1.0)
    assert desk.margin(CALL) == pytest.approx(initial, abs=1.0)
    assert desk.inside(CALL) == desk.margin(CALL) + 650_000
    figures = desk.house.isolated.figures(desk.held(CALL))
    assert figures.maintenance == pytest.approx(0.1 * (0.03 + mark) * 100_000)
    assert figures.upl_atoms == pytest.approx((0.0065 - 0.1 * mark) * 1e8, abs=1.0)
    desk.take("10", "0.065", CALL)
    assert (desk.inside(CALL), desk.outside("BTC")) == (0, 100_000_000 - 6_000)
    desk.venue.check()
