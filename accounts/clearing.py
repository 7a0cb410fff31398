"""The clearing house: the only door to the market, and the keeper of accounts.

The way of an order, without a break between check and match: `submit` -> the instrument's rules
and the margin check (`admission`) -> `exchange.matching` -> each fill settled for maker and taker
at once (`settlement`) -> events out through `emit`.

Source: design.md section 2; portfolio-margin.md section 9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from accounts.account import BORROWING_MODES, Account, AccountMode, Balance, Position
from accounts.admission import (
    IMMEDIATE,
    IOC,
    SWEEPING,
    margin_refusal,
    rule_refusal,
)
from accounts.amending import amend_order
from accounts.events import Marks
from accounts.exposures import Exposures
from accounts.isolated import IsolatedMargin
from accounts.ledger import Ledger
from accounts.listing import Listing, ListingState, make_listing
from accounts.loans import Loans
from accounts.market import Market
from accounts.marking import Marker, sample_marks
from accounts.option_terms import OptionLimits
from accounts.order_conditions import OrderConditions
from accounts.rule_change import switch_rules
from accounts.settlement import Settlement
from exchange.events import (
    CancelReason,
    Fill,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    RejectReason,
)
from exchange.matching import Ids, MatchingEngine
from exchange.order import Order, OrderRequest, OrderType
from risk.order_tables import ACCEPTED_REDUCING

if TYPE_CHECKING:
    from exchange.instrument import Instrument
    from risk.rules import RuleSet

Emit = Callable[[Any], None]
_FIRST_MMP: Final = int(OrderType.MMP)


def _drop(event: Any) -> None:
    """Where nobody listens."""


class ClearingHouse:
    """All accounts, books and prices of one exchange.

    `emit` gets every event in order. `recording=False` keeps no ledger journal.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        rules: RuleSet,
        emit: Emit = _drop,
        *,
        currencies: Sequence[str] = (),
        recording: bool = True,
        listed_ns: int = -(10**18),
    ) -> None:
        self.emit = emit
        self.rules = rules
        self.market = Market(instruments, rules, currencies)
        self.ledger = Ledger(recording=recording)
        self.exposures = Exposures(self.market)
        self.loans = Loans(self.ledger, self.market)
        self.settlement = Settlement(self.ledger, self.exposures, self.loans)
        self.accounts: list[Account] = []
        order_ids, fill_ids = Ids(), Ids()
        self.listings: dict[str, Listing] = {}
        for number, instrument in enumerate(instruments):
            self.listings[instrument.instrument_id] = make_listing(
                instrument,
                number,
                MatchingEngine(
                    instrument,
                    order_ids=order_ids,
                    fill_ids=fill_ids,
                    price_gap_bps=round(rules.orders.price_gap * 10_000),
                    most_matches=rules.orders.most_matches,
                ),
                self.market.currency_number[instrument.settle],
                self.market.currency_number[instrument.base],
                self.ledger.open("fees", instrument.settle),
            )
        self.by_number = list(self.listings.values())
        self._option_limits = OptionLimits(self.by_number)
        self._markers = [Marker(listing, rules.marks, listed_ns) for listing in self.by_number]
        self.stale_ns = round(rules.liquidation.stale_mark_s * 1e9)
        self.conditions = OrderConditions(self)
        self.isolated = IsolatedMargin(self)

    # --- accounts ----------------------------------------------------------------------------

    def open_account(
        self,
        name: str,
        *,
        mode: AccountMode = AccountMode.PORTFOLIO,
        auto_borrow: bool = True,
    ) -> Account:
        """A new, empty account. O(1)."""
        number = self.exposures.add_account(
            mode=int(mode), auto_borrow=auto_borrow and mode in BORROWING_MODES
        )
        account = Account(number, name, mode, auto_borrow)
        self.accounts.append(account)
        return account

    def balance(self, account: Account, currency: str) -> Balance:
        """The account's balance of a currency, opened if new. KeyError for an unknown currency."""
        balance = account.balances.get(currency)
        if balance is None:
            number = self.market.currency_number[currency]
            balance = Balance(
                currency,
                number,
                self.ledger.open(f"cash/{account.name}", currency),
                self.exposures.currency_row(account.number, number),
            )
            account.balances[currency] = balance
        return balance

    def position(self, account: Account, listing: Listing) -> Position:
        """The account's position in an instrument, opened flat if new."""
        position = account.positions.get(listing.number)
        if position is None:
            instrument = listing.instrument
            settle = self.balance(account, instrument.settle)
            base = self.balance(account, instrument.base)
            ledger = self.ledger.open(
                f"cost/{account.name}/{instrument.instrument_id}", instrument.settle
            )
            row = self.exposures.add_position(account.number, listing.number, settle.row, base.row)
            position = Position(instrument, listing.number, settle, base, ledger, row)
            account.positions[listing.number] = position
            leverage = account.leverage.get(instrument.instrument_id)
            if leverage is not None:
                self.exposures.set_leverage(row, leverage)
        return position

    def deposit(self, now_ns: int, account: Account, currency: str, atoms: int) -> None:
        """Bring `atoms` > 0 of a currency into an account; repays what it owes first."""
        assert atoms > 0, atoms
        balance = self.balance(account, currency)
        self.ledger.deposit(now_ns, balance.cash, atoms)
        self.book_cash(now_ns, balance)

    def fund_pool(self, now_ns: int, currency: str, atoms: int) -> None:
        """The venue puts `atoms` into the lending pool of a currency."""
        number = self.market.currency_number[currency]
        self.ledger.deposit(now_ns, self.loans.pools[number], atoms)
        self.loans.tell(number)

    def book_cash(self, now_ns: int, balance: Balance) -> None:
        """Square a balance after postings and tell the exposure tables."""
        self.exposures.set_cash(balance.row, self.loans.square(now_ns, balance))

    # --- the way of an order -----------------------------------------------------------------

    def submit(
        self,
        now_ns: int,
        account_number: int,
        request: OrderRequest,
        check_ticks: int | None = None,
    ) -> list[Any]:
        """Take one order: check it, match it, settle it. Returns its events, already emitted.

        A refusal is one OrderRejected; nothing else has changed then. check_ticks: the price that
        the margin check takes instead of the limit (market orders by quote amount). O(columns +
        units of the account) for the check, O(log levels) to rest, O(columns) per fill.
        """
        account = self.accounts[account_number]
        listing = self.listings.get(request.instrument_id)
        if listing is None:
            return self.reject(now_ns, request, account, RejectReason.UNKNOWN_INSTRUMENT, "")
        if request.isolated and account.parent is None:
            return self.isolated.submit(now_ns, account, listing, request, check_ticks)
        stale = self.is_stale(now_ns) and self.may_open(account, listing, request)
        reason = rule_refusal(listing, account, request, stale=stale)
        if reason is not None:
            of_mark = stale and reason is RejectReason.INSTRUMENT_SUSPENDED
            detail = "the mark price is missing or stale" if of_mark else ""
            return self.reject(now_ns, request, account, reason, detail)
        # Enum members are compared as plain numbers: a look into them would cost more.
        order_type: int = request.order_type
        given_side: int = request.side
        if (
            order_type > IOC
            or request.client_order_id
            or request.reduce_only
            or len(account.orders) >= self.conditions.limits.open_orders_per_instrument
        ):  # only these can meet a condition
            unmet = self.conditions.refusal(now_ns, account, listing, request)
            if unmet is not None:
                return self.reject(now_ns, request, account, *unmet)
        position = self._traded(account, listing)
        side = 1 if given_side > 0 else -1
        price = request.price_ticks
        if order_type in SWEEPING:
            price = listing.high_ticks if side > 0 else listing.low_ticks
        assert price is not None
        exposures = self.exposures
        row = exposures.order_row()
        checked = price if check_ticks is None else check_ticks
        code = exposures.place(
            row, position.row, side, checked, request.size_lots, order_type in IMMEDIATE
        )
        if code > ACCEPTED_REDUCING and account.parent is not None:
            code = self.isolated.closing_code(account, code, side, request.size_lots)
            if code == ACCEPTED_REDUCING:
                exposures.add_order(row, position.row, side, checked, request.size_lots)
        if code > ACCEPTED_REDUCING:
            exposures.free_order_row(row)
            resting_of = None if order_type in IMMEDIATE else account_number
            refused, detail = margin_refusal(code, exposures, resting_of)
            return self.reject(now_ns, request, account, refused, detail)
        parent = account.parent
        owner = account_number if parent is None else parent.number
        order = listing.engine.new_order(owner, request, now_ns)
        order.price_ticks = price
        order.slot = row
        order.holder = account_number
        order.position = position
        if request.stp_mode is None:
            order.stp_mode = (parent or account).stp_mode
        if request.client_order_id or request.reduce_only:
            self.conditions.admitted(account, request, order)
        return self._match(now_ns, listing, account, order)

    def is_stale(self, now_ns: int) -> bool:
        """Whether marks are missing or too old. O(1)."""
        return now_ns - self.market.time_ns > self.stale_ns

    def may_open(self, account: Account, listing: Listing, request: OrderRequest) -> bool:
        """Whether an order may do more than close a position, which stale marks block. O(1).

        Source: liquidation-and-losses.md section 1.
        """
        position = account.positions.get(listing.number)
        given_side: int = request.side
        side = 1 if given_side > 0 else -1
        return position is None or not self.exposures.only_closes(position, side, request.size_lots)

    def _traded(self, account: Account, listing: Listing) -> Position:
        """The position that an order is for, most often that of the last order. O(1)."""
        position = account.recent
        if position is None or position.number != listing.number:
            position = account.positions.get(listing.number) or self.position(account, listing)
            account.recent = position
        return position

    def submit_forced(
        self, now_ns: int, account: Account, listing: Listing, request: OrderRequest, cause_id: int
    ) -> list[Any]:
        """Send a liquidation order: through the same book, without the margin check."""
        position = self.position(account, listing)
        row = self.exposures.order_row()
        price = request.price_ticks or 0
        self.exposures.add_order(row, position.row, int(request.side), price, request.size_lots)
        owner = account.number if account.parent is None else account.parent.number
        order = listing.engine.new_order(
            owner, request, now_ns, is_liquidation=True, cause_id=cause_id
        )
        order.slot = row
        order.holder = account.number
        order.position = position
        return self._match(now_ns, listing, account, order)

    def reject(
        self,
        now_ns: int,
        request: OrderRequest,
        account: Account,
        reason: RejectReason,
        detail: str,
    ) -> list[Any]:
        """Refuse a request: one event, emitted; nothing else changes."""
        owner = account.number if account.parent is None else account.parent.number
        event = OrderRejected(now_ns, request, owner, reason, detail)
        self.emit(event)
        return [event]

    def _match(self, now_ns: int, listing: Listing, account: Account, order: Order) -> list[Any]:
        """Match an admitted order, settle its fills, keep what rests."""
        account.orders[order.order_id] = order
        events: list[Any] = listing.engine.submit(order, now_ns)
        if len(events) == 1 and type(events[0]) is OrderAccepted and not account.reduce_only:
            self.emit(events[0])  # it rests, and nothing else has happened
            return events
        self.apply(now_ns, listing, events)
        if account.reduce_only:
            self.conditions.moved(account, listing)
        if self.conditions.pending:
            self.conditions.settle_up(now_ns, order.order_id)
        return events

    def apply(self, now_ns: int, listing: Listing, events: list[Any]) -> None:
        """Settle fills and release cancelled orders, in order, then emit each event."""
        emit = self.emit
        for event in events:
            if type(event) is Fill:
                self._settle(now_ns, listing, event)
            elif type(event) is OrderCancelled:
                order = event.order
                self.exposures.remove_order(order.slot)
                holder = self.accounts[order.holder]
                del holder.orders[order.order_id]
                if holder.parent is not None:
                    self.isolated.cancelled(now_ns, holder, order)
            emit(event)

    def _settle(self, now_ns: int, listing: Listing, fill: Fill) -> None:
        maker, taker = fill.maker, fill.taker
        making, taking = self.accounts[maker.holder], self.accounts[taker.holder]
        price, lots = fill.price_ticks, fill.size_lots
        value = listing.instrument.value_atoms(price, lots)
        maker_fee = listing.fee_atoms(listing.maker_rate, value, lots)
        taker_fee = listing.fee_atoms(listing.taker_rate, value, lots)
        maker_position: Position = maker.position
        taker_position: Position = taker.position
        taker_side: int = taker.side
        if taker_side > 0:
            self.settlement.settle(
                now_ns,
                listing,
                taker_position,
                maker_position,
                value,
                lots,
                taker_fee,
                maker_fee,
                taker.slot,
                maker.slot,
                fill.fill_id,
            )
        else:
            self.settlement.settle(
                now_ns,
                listing,
                maker_position,
                taker_position,
                value,
                lots,
                maker_fee,
                taker_fee,
                maker.slot,
                taker.slot,
                fill.fill_id,
            )
        listing.last_ticks = price
        maker_type: int = maker.order_type
        taker_type: int = taker.order_type
        if (
            making.reduce_only
            or taking.reduce_only
            or maker_type >= _FIRST_MMP
            or taker_type >= _FIRST_MMP
        ):
            self.conditions.filled(now_ns, listing, fill)
        if not maker.remaining_lots:
            making.orders.pop(maker.order_id, None)
        if not taker.remaining_lots:
            taking.orders.pop(taker.order_id, None)
        if making.parent is not None:
            self.isolated.filled(now_ns, making, maker, price, lots, maker_fee)
        if taking.parent is not None:
            self.isolated.filled(now_ns, taking, taker, price, lots, taker_fee)

    def cancel(
        self,
        now_ns: int,
        account_number: int,
        order_id: int,
        reason: CancelReason = CancelReason.USER,
        cause_id: int = 0,
    ) -> list[Any]:
        """Cancel an open order; an empty list if the account has none of that id. O(columns)."""
        account = self.accounts[account_number]
        if account.isolated:
            account = self.isolated.holder_of(account, order_id)
        order = account.orders.get(order_id)
        if order is None:
            return []
        if cause_id:
            order.cause_id = cause_id
        listing = self.listings[order.instrument.instrument_id]
        events: list[Any] = listing.engine.cancel(order_id, now_ns, reason)
        self.exposures.remove_order(order.slot)
        del account.orders[order_id]
        if account.parent is not None:
            self.isolated.cancelled(now_ns, account, order)
        self.emit(events[0])
        return events

    def cancel_all(
        self,
        now_ns: int,
        account_number: int,
        instrument_id: str | None = None,
        reason: CancelReason = CancelReason.USER,
        cause_id: int = 0,
    ) -> list[Any]:
        """Cancel all open orders of an account (in one instrument), isolated ones too.

        O(orders x columns).
        """
        events: list[Any] = []
        account = self.accounts[account_number]
        orders = list(account.orders.values())
        for holder in account.isolated.values():
            orders += holder.orders.values()
        for order in orders:
            if instrument_id is None or order.instrument.instrument_id == instrument_id:
                events += self.cancel(now_ns, account_number, order.order_id, reason, cause_id)
        return events

    def cancel_listing(self, now_ns: int, listing: Listing, reason: CancelReason) -> None:
        """Cancel all open orders of an instrument (delivery, expiry). O(orders x columns)."""
        self.apply(now_ns, listing, listing.engine.cancel_all(now_ns, reason))

    def suspend(self, now_ns: int, listing: Listing) -> None:
        """Stop trading in an instrument: its open orders go (source 0), new ones are refused."""
        listing.state = ListingState.SUSPENDED
        self.cancel_listing(now_ns, listing, CancelReason.SYSTEM)

    def resume(self, listing: Listing) -> None:
        """Let a suspended instrument trade again."""
        assert listing.state == ListingState.SUSPENDED, listing.instrument.instrument_id
        listing.state = ListingState.TRADING

    def amend(
        self,
        now_ns: int,
        account_number: int,
        order_id: int,
        new_size_lots: int | None = None,
        new_price_ticks: int | None = None,
    ) -> list[Any]:
        """Change an open order's size or price: admitted as a new order of the new terms.

        A refusal leaves the old order as it was. Source: 9.3, 12.6 (51502).
        """
        return amend_order(self, now_ns, account_number, order_id, new_size_lots, new_price_ticks)

    # --- the way of a price ------------------------------------------------------------------

    def publish(
        self,
        now_ns: int,
        usd_index_e8: Mapping[str, int],
        index_e8: Mapping[str, int],
        *,
        implied_vol: Mapping[str, float] | None = None,
        forward: Mapping[str, float] | None = None,
    ) -> Marks:
        """Take the index of one moment: marks, price limits, stress table, lending pools.

        usd_index_e8: USD per currency in 1e-8, all but USD; index_e8: per pair in its quote.
        Accounts are re-margined on first use or by `RiskControl.check`. O(instruments x columns).
        """
        market = self.market
        sampled = sample_marks(self._markers, now_ns, usd_index_e8, index_e8)
        market.publish(
            now_ns, usd_index_e8, index_e8, sampled, implied_vol=implied_vol, forward=forward
        )
        self._option_limits.set(market.mark_ticks, market.deltas)
        marks = market.mark_ticks.tolist()
        self.conditions.check(now_ns)
        return Marks(now_ns, dict(index_e8), dict(usd_index_e8), marks)

    def switch_rules(self, now_ns: int, rules: RuleSet) -> None:
        """Put another rule set into force with open positions; see `accounts.rule_change`."""
        switch_rules(self, now_ns, rules)

    def flush(self) -> None:
        """Emit the ledger's bookings since the last flush, as one batch."""
        batch = self.ledger.flush()
        if batch is not None:
            self.emit(batch)
