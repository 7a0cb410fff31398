"""Random days through every way to enter an order, on top of those of the clearing house.

Besides all that must hold there: reduce-only orders never exceed their position, a frozen family
has no protected order, a client order id names one open order, and all books reconcile.
"""

from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from accounts.account import AccountMode
from accounts.order_conditions import REDUCE_ONLY_MODES
from accounts.order_entry import OptionPrice, OrderEntry
from accounts.protection import MMP_TYPES
from accounts.reconciliation import discrepancies
from accounts.transfers import most_that_may_leave, withdraw
from exchange.events import Fill, OrderRejected, RejectReason
from exchange.order import OrderRequest, OrderType, Side, StpMode
from risk import order_tables as t
from tests.accounts.venue import E8
from tests.properties.test_clearing_machine import ACCOUNTS, INSTRUMENTS, MODES, ClearingMachine

SPOTS = [name for name in INSTRUMENTS if name.count("-") == 1]
CONTRACTS = [n for n in INSTRUMENTS if n.count("-") == 2]
OPTIONS = [name for name in INSTRUMENTS if name.count("-") == 4]
WHO = st.integers(0, ACCOUNTS - 1)
REDUCERS = [number for number, mode in enumerate(MODES) if mode in REDUCE_ONLY_MODES]
QUOTERS = [number for number, mode in enumerate(MODES) if mode == AccountMode.PORTFOLIO]
IDS = st.sampled_from(("", "a", "b", "c"))


class OrderEntryMachine(ClearingMachine):
    """The clearing house's machine, with reduce-only, protection, client ids, amounts, timers."""

    @initialize()
    def open(self) -> None:
        super().open()
        self.entry = OrderEntry(self.house)
        self.reducing: set[int] = set()
        self.read = 0
        self.lots: dict[tuple[int, int], int] = {}
        for account in self.house.accounts:
            for family in ("BTC-USD", "ETH-USD"):
                self.house.conditions.protection.configure(
                    account, family, limit_lots=30, interval_ms=2_000, frozen_ms=1_500
                )

    def _ticks(self, name: str, bps: int) -> int:
        listing = self.house.listings[name]
        reference = float(self.house.market.terms[listing.number, t.M_REFERENCE])
        ticks = max(1, round(reference * (1.0 + bps / 1e4)))
        ticks = min(max(ticks, listing.low_ticks), listing.high_ticks)
        return listing.instrument.floor_to_grid(ticks)

    def _place(self, who: int, name: str, lots: int, bps: int, **more: Any) -> Any:
        """Submit an order of signed lots; its first event."""
        self.now_ns += 1
        side = Side.BUY if lots > 0 else Side.SELL
        kind = more.pop("order_type", OrderType.LIMIT)
        ticks = self._ticks(name, bps)
        request = OrderRequest(name, side, kind, abs(lots), ticks, **more)
        return self.house.submit(self.now_ns, who, request)[0]

    @rule(
        who=st.sampled_from(REDUCERS),
        name=st.sampled_from(CONTRACTS[:4]),
        usd=st.sampled_from((3_000.0, 12_000.0, -3_000.0, -12_000.0)),
        shares=st.lists(st.sampled_from((0.2, 0.5, 1.0, 1.2)), min_size=1, max_size=3),
        bps=st.integers(1, 40),
        taken=st.sampled_from((0.0, 0.4, 1.0, 1.6)),
        maker=st.sampled_from(QUOTERS),
    )
    def reduce_only(
        self,
        who: int,
        name: str,
        usd: float,
        shares: list[float],
        bps: int,
        taken: float,
        maker: int,
    ) -> None:
        """Open a position against a quoter, rest reduce-only orders, then someone trades more."""
        number = self.house.listings[name].number
        lots = round(usd / float(self.house.market.terms[number, t.M_USD])) or 1
        self._place(maker, name, -lots, 0)
        self._place(who, name, lots, 0)
        position = self.house.accounts[who].positions.get(number)
        held = position.lots if position and position.lots else lots
        away = bps if held > 0 else -bps
        for share in shares:
            first = self._place(who, name, -int(held * share) or -1, away, reduce_only=True)
            if not isinstance(first, OrderRejected):
                self.reducing.add(first.order.order_id)
        if taken:
            self._place(maker, name, int(held * taken), away)  # takes what rests, or bids
            self._place(who, name, -int(held * taken) or -1, away)  # an ordinary order

    @rule(who=WHO, name=st.sampled_from(SPOTS), buys=st.booleans(), usd=st.integers(1, 60_000))
    def amount(self, who: int, name: str, buys: bool, usd: int) -> None:
        self.now_ns += 1
        side = Side.BUY if buys else Side.SELL
        request = OrderRequest(name, side, OrderType.MARKET, 1)
        events = self.entry.submit_quote_amount(self.now_ns, who, request, usd * E8)
        paid = [
            e.instrument.value_atoms(e.price_ticks, e.size_lots) for e in events if type(e) is Fill
        ]
        assert sum(paid) <= usd * E8

    @rule(
        who=WHO,
        name=st.sampled_from(OPTIONS),
        buys=st.booleans(),
        lots=st.integers(1, 40),
        vol=st.sampled_from((0.2, 0.5, 0.6, 0.7, 1.4)),
        usd=st.sampled_from((None, 2_000, 9_000)),
    )
    def option(
        self, who: int, name: str, buys: bool, lots: int, vol: float, usd: int | None
    ) -> None:
        self.now_ns += 1
        price = OptionPrice(volatility=vol) if usd is None else OptionPrice(usd=Decimal(usd))
        request = OrderRequest(name, Side.BUY if buys else Side.SELL, OrderType.LIMIT, lots)
        assert self.entry.submit_option(self.now_ns, who, request, price)

    @rule(
        who=st.sampled_from(QUOTERS),
        taker=WHO,
        name=st.sampled_from(OPTIONS),
        buys=st.booleans(),
        lots=st.integers(5, 60),
        taken=st.integers(0, 60),
        post_only=st.booleans(),
        pause_ms=st.sampled_from((1, 900, 3_000)),
    )
    def protected(
        self,
        who: int,
        taker: int,
        name: str,
        buys: bool,
        lots: int,
        taken: int,
        post_only: bool,
        pause_ms: int,
    ) -> None:
        """Quote both sides, and perhaps let someone take so much that the family freezes."""
        self.now_ns += pause_ms * 10**6
        account, listing = self.house.accounts[who], self.house.listings[name]
        frozen = self.house.conditions.protection.frozen_until(account, listing.instrument.family)
        sign = 1 if buys else -1
        kind = OrderType.MMP_AND_POST_ONLY if post_only else OrderType.MMP
        first = self._place(who, name, sign * lots, 0, order_type=kind)
        if isinstance(first, OrderRejected):
            assert (first.reason == RejectReason.MMP_FROZEN) <= (self.now_ns < frozen)
        self._place(who, name, -sign * lots, -sign * 200, order_type=kind)
        if taken:
            self._place(taker, name, -sign * taken, -sign * 100, order_type=OrderType.IOC)

    @rule(who=WHO, client=IDS, bps=st.integers(-100, 100), usd=st.integers(1_000, 30_000))
    def named(self, who: int, client: str, bps: int, usd: int) -> None:
        """Place, else amend, the order of a client id."""
        self.now_ns += 1
        account = self.house.accounts[who]
        number = self.house.listings["BTC-USDT-SWAP"].number
        lots = max(1, round(usd / float(self.house.market.terms[number, t.M_USD])))
        ticks = self._ticks("BTC-USDT-SWAP", bps)
        live = self.house.conditions.client_order(account, client)
        side = Side.BUY if bps < 0 else Side.SELL
        request = OrderRequest("BTC-USDT-SWAP", side, OrderType.LIMIT, lots, ticks, client)
        (first, *_) = self.entry.submit_batch(self.now_ns, who, [request])[0]
        if live is not None:
            reasons = {RejectReason.DUPLICATE_CLIENT_ORDER_ID}
            if self.now_ns - self.house.market.time_ns > self.house.stale_ns:
                # pauses have left the mark behind, and what may open is refused for that first
                reasons.add(RejectReason.INSTRUMENT_SUSPENDED)
            assert first.reason in reasons
            self.entry.amend(self.now_ns, who, client, lots, ticks)

    @rule(who=WHO, seconds=st.sampled_from((0, 10, 30)))
    def arm(self, who: int, seconds: int) -> None:
        self.entry.cancel_all_after(self.now_ns, who, seconds)

    @rule(who=WHO, mode=st.sampled_from(tuple(StpMode)))
    def set_stp_mode(self, who: int, mode: StpMode) -> None:
        self.entry.set_stp_mode(who, mode)

    @rule(who=WHO, currency=st.sampled_from(("USDT", "BTC")), share=st.sampled_from((0.2, 1.0)))
    def take_out(self, who: int, currency: str, share: float) -> None:
        self.now_ns += 1
        account = self.house.accounts[who]
        most = most_that_may_leave(self.house, account, currency)
        atoms = int(most * share)
        if atoms:
            assert withdraw(self.house, self.now_ns, account, currency, atoms) is None
            assert (
                self.house.exposures.figures(who)[t.T_ADJUSTED]
                >= (self.house.exposures.figures(who)[t.T_IMR])
            )

    @invariant()
    def reduce_only_never_opens(self) -> None:
        """Position by position, fill by fill."""
        new, self.read = self.events[self.read :], len(self.events)
        for event in new:
            if type(event) is not Fill or event.instrument.instrument_id in SPOTS:
                continue
            for order in (event.maker, event.taker):
                self._take_fill(order, event)
        for account in self.house.accounts:
            for listing in self.house.by_number:
                own = [
                    account.orders[order_id]
                    for order_id in account.reduce_only & account.orders.keys()
                    if account.orders[order_id].instrument is listing.instrument
                ]
                if own:
                    held = account.positions[listing.number].lots
                    side = int(own[0].side)
                    assert held * side < 0
                    open_lots = self.house.conditions.open_lots(account, listing, side)
                    assert open_lots <= abs(held)

    def _take_fill(self, order: Any, fill: Fill) -> None:
        key = order.owner, self.house.listings[fill.instrument.instrument_id].number
        before = self.lots.get(key, 0)
        after = before + int(order.side) * fill.size_lots
        if order.order_id in self.reducing:
            assert abs(after) < abs(before), (order, fill)
            assert after * before >= 0
        self.lots[key] = after

    @invariant()
    def frozen_families_have_no_quotes(self) -> None:
        protection = self.house.conditions.protection
        for account in self.house.accounts:
            for order in account.orders.values():
                if order.order_type in MMP_TYPES:
                    until = protection.frozen_until(account, order.instrument.family)
                    assert order.time_ns >= until

    @invariant()
    def books_reconcile(self) -> None:
        assert discrepancies(self.house) == []


TestOrderEntryMachine = OrderEntryMachine.TestCase
TestOrderEntryMachine.settings = settings(
    max_examples=20,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow],
)
