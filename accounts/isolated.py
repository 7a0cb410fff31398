"""Isolated margin: positions with margin of their own, beside an account's cross positions.

Each isolated position is an account of its own (the holder) under a parent: one instrument, one
settlement currency, no borrowing, single-currency mode, so that its figures are the tiered ones of
its own margin alone. An order's margin comes in from the parent with the order and leaves it again
with a cancellation; what a reduction frees goes back as long as the initial margin stays; what is
left of a closed position goes back whole. Nothing else ever moves between the two.

The margin of a position is the holder's cash less what is held for its open orders (options: with
the premium that stands against the position). Orders carry the parent as owner, so that
self-trade prevention sees one trader, and the holder in `Order.holder`.

Source: portfolio-margin.md sections 2.3, 4.2, 11.8, 16.18.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accounts.account import Account, AccountMode, Balance, Position
from accounts.admission import SWEEPING, rule_refusal
from accounts.events import PostingKind
from accounts.exposures import LEVERAGE_SCALE
from accounts.modes import set_leverage
from exchange.events import OrderRejected, RejectReason
from risk import order_tables as t

if TYPE_CHECKING:
    from collections.abc import Iterator

    from accounts.clearing import ClearingHouse
    from accounts.listing import Listing
    from exchange.order import Order, OrderRequest

MARGIN = int(PostingKind.ISOLATED_MARGIN)
_NOISE = 1e-6  # atoms: what float64 may add to a whole number of them


@dataclass(slots=True, eq=False)
class Isolated:
    """One isolated position: its own account under `parent`.

    order_atoms: margin held for all open orders together. realised_atoms: the position's realised
    profit when its margin was last reckoned. arriving_atoms: what an amendment has brought.
    """

    parent: Account
    account: Account
    listing: Listing
    position: Position
    order_atoms: int = 0
    realised_atoms: int = 0
    arriving_atoms: int = 0

    @property
    def cash(self) -> Balance:
        """The one balance of the position: its settlement currency."""
        return self.position.settle


@dataclass(frozen=True, slots=True)
class IsolatedFigures:
    """An isolated position's margin figures at the present mark.

    margin, upl: atoms of the settlement currency; the others USD. ratio: equity over maintenance
    margin and closing fee, inf where nothing is required.
    """

    margin_atoms: int
    upl_atoms: int
    equity: float
    maintenance: float
    closing_fee: float

    @property
    def ratio(self) -> float:
        """Equity over requirement."""
        required = self.maintenance + self.closing_fee
        return self.equity / required if self.maintenance > 0.0 else math.inf


class IsolatedMargin:
    """All isolated positions of a clearing house, by their holders' account numbers."""

    def __init__(self, house: ClearingHouse) -> None:
        self.house = house
        self.held: dict[int, Isolated] = {}

    def open(self, parent: Account, listing: Listing) -> Isolated:
        """The parent's isolated position in an instrument, made flat and empty if new. O(1)."""
        assert parent.parent is None, parent.name
        account = parent.isolated.get(listing.number)
        if account is None:
            house = self.house
            account = house.open_account(
                f"{parent.name}/isolated/{listing.instrument.instrument_id}",
                mode=AccountMode.SPOT_AND_FUTURES,
                auto_borrow=False,
            )
            account.parent = parent
            parent.isolated = {**parent.isolated, listing.number: account}
            position = house.position(account, listing)
            self.held[account.number] = Isolated(parent, account, listing, position)
        return self.held[account.number]

    def of(self, parent: Account) -> Iterator[Isolated]:
        """The isolated positions of a parent, in the order they were first opened."""
        return (self.held[account.number] for account in parent.isolated.values())

    def holder_of(self, parent: Account, order_id: int) -> Account:
        """Who holds an open order: an isolated position, else the parent. O(positions)."""
        for account in parent.isolated.values():
            if order_id in account.orders:
                return account
        return parent

    # --- figures -------------------------------------------------------------------------------

    def margin_atoms(self, held: Isolated) -> int:
        """Margin of the position alone: without what is held for open orders. O(1)."""
        margin = self._net(held) - held.order_atoms
        return margin + held.position.cost_atoms if held.listing.is_option else margin

    def figures(self, held: Isolated) -> IsolatedFigures:
        """The position's figures at the present mark, from its own margin alone. O(columns)."""
        house, position = self.house, held.position
        totals = house.exposures.figures(held.account.number)
        value = int(house.exposures.positions[position.row, t.P_VALUE])
        margin = self.margin_atoms(held)
        if held.listing.is_option:
            upl = value - position.cost_atoms
        else:
            upl = value + position.cost_atoms
        maintenance = float(totals[t.T_MMR]) if position.lots else 0.0
        usd = self._usd_per_atom(held)
        return IsolatedFigures(
            margin, upl, (margin + upl) * usd, maintenance, self._closing_fee(held) * usd
        )

    def _closing_fee(self, held: Isolated) -> int:
        """Taker fee of closing the position at mark, atoms."""
        lots, listing = abs(held.position.lots), held.listing
        mark = int(self.house.market.mark_ticks[listing.number])
        if lots == 0:
            return 0
        value = listing.instrument.value_atoms(mark, lots)
        return listing.fee_atoms(listing.taker_rate, value, lots)

    def _net(self, held: Isolated) -> int:
        return self.house.ledger.balances[held.cash.cash] - held.cash.liability_atoms

    def _usd_per_atom(self, held: Isolated) -> float:
        market = self.house.market
        return market.usd[held.cash.currency] * market.scales[held.cash.number]

    def _slack(self, held: Isolated) -> float:
        """Equity, in the worst fill set, less initial margin with all open orders, USD."""
        figures = self.house.exposures.figures(held.account.number)
        if figures[t.T_IMR] > 0.0:
            return float(figures[t.T_SMALLEST] - figures[t.T_IMR])
        return float(figures[t.T_EQUITY])

    def _initial(self, held: Isolated) -> float:
        """Initial margin of the position alone, USD. Source: 11.8, 16.18."""
        market, position = self.house.market, held.position
        terms = market.terms[position.number]
        if held.listing.is_option:
            return max(0, -position.lots) * float(terms[t.M_SHORT_INITIAL])
        if position.lots == 0:
            return 0.0
        notional = abs(position.lots) * float(terms[t.M_NOTIONAL])
        maintenance = float(self.house.exposures.figures(held.account.number)[t.T_MMR])
        leverage = int(self.house.exposures.positions[position.row, t.P_LEVERAGE]) / LEVERAGE_SCALE
        factor = float(market.rule_terms[t.R_INITIAL_FACTOR])
        return max(notional / leverage, factor * maintenance)

    def _demand(self, held: Isolated) -> int:
        """What the open orders need beyond the position, atoms: what the check of 16.17 asks for
        more with them than without; of options bought, premium and fee. O(open orders).
        """
        row = self.house.exposures.positions[held.position.row]
        if row[t.P_BUY] == 0 and row[t.P_SELL] == 0:
            return 0  # not a rounding of the difference below
        figures = self.house.exposures.figures(held.account.number)
        more = float(figures[t.T_EQUITY]) - self._initial(held) - self._slack(held)
        demand = max(0, math.ceil(more / self._usd_per_atom(held) - _NOISE))
        if not held.listing.is_option:
            return demand
        premium = self._premium(held)
        return demand + premium if row[t.P_SELL] else max(demand, premium)

    def _premium(self, held: Isolated) -> int:
        """Premium and fees of the open orders that buy options beyond a short position, atoms."""
        orders, listing = self.house.exposures.orders, held.listing
        row = int(self.house.exposures.positions[held.position.row, t.P_FIRST])
        closing, total = max(0, -held.position.lots), 0
        while row != t.NONE:
            if orders[row, t.O_SIDE] > 0:
                lots = int(orders[row, t.O_LOTS])
                opening = max(0, lots - closing)
                closing -= lots - opening
                value = listing.instrument.value_atoms(int(orders[row, t.O_PRICE]), opening)
                total += value + listing.fee_atoms(listing.taker_rate, value, opening)
            row = int(orders[row, t.O_NEXT])
        return total

    def _headroom(self, held: Isolated) -> int:
        """Whole atoms of the position's margin that may leave, at least 0: its initial margin stays
        covered by itself, and with all open orders by everything inside.
        """
        usd = self._usd_per_atom(held)
        alone = self.figures(held).equity - self._initial(held)
        whole = math.floor(min(alone, self._slack(held)) / usd + _NOISE)
        return max(0, min(whole, self._net(held) - held.order_atoms))

    # --- margin in and out ---------------------------------------------------------------------

    def add_margin(
        self, now_ns: int, parent: Account, listing: Listing, atoms: int
    ) -> RejectReason | None:
        """Move `atoms` > 0 from the parent to its isolated position; why not, or None if done.

        Refused, too, where the parent does not own it or would not keep its own initial margin.
        """
        assert atoms > 0, atoms
        held = self.open(parent, listing)
        return self._fixed(held) or self._move_in(now_ns, held, atoms)

    def remove_margin(
        self, now_ns: int, parent: Account, listing: Listing, atoms: int
    ) -> RejectReason | None:
        """Move `atoms` > 0 of a position's margin back to the parent; why not, or None if done.

        What stays must cover the position's initial margin; margin of open orders stays.
        """
        assert atoms > 0, atoms
        held = self.open(parent, listing)
        reason = self._fixed(held)
        if reason is None and held.account.blocked:
            reason = RejectReason.ACCOUNT_BLOCKED
        if reason is None and atoms > self.most_removable(held):
            reason = RejectReason.INSUFFICIENT_MARGIN
        if reason is not None:
            return reason
        self._return(now_ns, held, atoms)
        return None

    def _fixed(self, held: Isolated) -> RejectReason | None:
        """Why nobody can change a position's margin by hand, or None."""
        if held.position.lots == 0:
            return RejectReason.NO_ISOLATED_POSITION
        bought = held.listing.is_option and held.position.lots > 0
        return RejectReason.LONG_OPTION_MARGIN_FIXED if bought else None

    def most_removable(self, held: Isolated) -> int:
        """Atoms that `remove_margin` would let go now."""
        return self._headroom(held)

    def set_leverage(
        self, parent: Account, listing: Listing, leverage: float
    ) -> RejectReason | None:
        """Leverage of an isolated position, in every mode that has derivatives; why not, or None.

        Lowering it is refused where the position's margin would not cover the initial margin.
        """
        if parent.mode == AccountMode.SPOT or listing.is_spot:
            return RejectReason.ACCOUNT_MODE
        return set_leverage(self.house, self.open(parent, listing).account, listing, leverage)

    def _move_in(self, now_ns: int, held: Isolated, atoms: int) -> RejectReason | None:
        """Move margin from the parent if it owns it and stays within 16.17 without it."""
        if atoms == 0:
            return None
        house, parent = self.house, held.parent
        balance = parent.balances.get(held.cash.currency)
        if parent.blocked:
            return RejectReason.ACCOUNT_BLOCKED
        if balance is None or not self._owns(balance, atoms):
            return RejectReason.INSUFFICIENT_BALANCE
        exposures = house.exposures
        cash = int(exposures.currencies[balance.row, t.C_CASH])
        exposures.set_cash(balance.row, cash - atoms)
        figures = exposures.figures(parent.number)
        safe = bool(figures[t.T_SMALLEST] >= figures[t.T_IMR])
        exposures.set_cash(balance.row, cash)
        if not safe:
            exposures.figures(parent.number)
            return RejectReason.INSUFFICIENT_MARGIN
        house.ledger.post(now_ns, MARGIN, balance.cash, held.cash.cash, atoms, held.listing.number)
        house.book_cash(now_ns, balance)
        house.book_cash(now_ns, held.cash)
        return None

    def _owns(self, balance: Balance, atoms: int) -> bool:
        """Whether the parent has the atoms in cash, not borrowed and not lost already."""
        row = self.house.exposures.currencies[balance.row]
        equity = int(row[t.C_CASH] + row[t.C_FUTURES] + row[t.C_OPTIONS])
        cash = self.house.ledger.balances[balance.cash] - balance.liability_atoms
        return atoms <= min(cash, equity)

    def _return(self, now_ns: int, held: Isolated, atoms: int) -> None:
        """Move up to `atoms` back to the parent, as far as the holder has them."""
        house = self.house
        atoms = min(atoms, house.ledger.balances[held.cash.cash])
        if atoms <= 0:
            return
        balance = house.balance(held.parent, held.cash.currency)
        house.ledger.post(now_ns, MARGIN, held.cash.cash, balance.cash, atoms, held.listing.number)
        house.book_cash(now_ns, held.cash)
        house.book_cash(now_ns, balance)

    def sweep(self, now_ns: int, held: Isolated) -> None:
        """Return everything of a position that is flat and has no open orders. O(1)."""
        row = self.house.exposures.positions[held.position.row]
        if held.position.lots == 0 and row[t.P_BUY] == 0 and row[t.P_SELL] == 0:
            held.order_atoms = 0
            self._return(now_ns, held, self._net(held))

    # --- orders --------------------------------------------------------------------------------

    def submit(
        self,
        now_ns: int,
        parent: Account,
        listing: Listing,
        request: OrderRequest,
        check_ticks: int | None,
    ) -> list[Any]:
        """Place an isolated order: move its margin in, then let the house check it as any other.

        A refusal is one OrderRejected, and the margin is where it was.
        """
        reason = rule_refusal(listing, parent, request, stale=False)  # the house looks at that
        if reason is None and (listing.is_spot or parent.mode == AccountMode.SPOT):
            reason = RejectReason.ACCOUNT_MODE
        if reason is not None:
            return self._reject(now_ns, parent, request, reason, "")
        held = self.open(parent, listing)
        atoms = self._needed(held, request, check_ticks)
        reason = self._move_in(now_ns, held, atoms)
        if reason is not None:
            coins = atoms / self.house.market.atoms[held.cash.currency]
            detail = f"the order needs an isolated margin of {coins:.8g} {held.cash.currency}"
            return self._reject(now_ns, parent, request, reason, detail)
        held.order_atoms += atoms
        events = self.house.submit(now_ns, held.account.number, request, check_ticks)
        if type(events[0]) is OrderRejected:
            held.order_atoms -= atoms
            self._return(now_ns, held, atoms)
        return events

    def _reject(
        self,
        now_ns: int,
        parent: Account,
        request: OrderRequest,
        reason: RejectReason,
        detail: str,
    ) -> list[Any]:
        event = OrderRejected(now_ns, request, parent.number, reason, detail)
        self.house.emit(event)
        return [event]

    def _needed(self, held: Isolated, request: OrderRequest, check_ticks: int | None) -> int:
        """Margin that an order brings along, atoms: what all open orders need with it, less what is
        held for them; what only closes brings nothing.
        """
        listing, side = held.listing, 1 if request.side > 0 else -1
        price = request.price_ticks if check_ticks is None else check_ticks
        if price is None or (check_ticks is None and request.order_type in SWEEPING):
            price = listing.high_ticks if side > 0 else listing.low_ticks
        return self._margin_for(held, side, request.size_lots, price)

    def _margin_for(self, held: Isolated, side: int, lots: int, price: int) -> int:
        """The same for `lots` of a side at a price in ticks; the tables end as they were."""
        exposures = self.house.exposures
        if exposures.only_closes(held.position, side, lots):
            return 0
        row = exposures.order_row()
        exposures.add_order(row, held.position.row, side, price, lots)
        demand = self._demand(held)
        exposures.remove_order(row)
        return max(0, demand - held.order_atoms)

    def closing_code(self, account: Account, code: int, side: int, lots: int) -> int:
        """The margin check's answer for a holder's order, once more: what can only close is let in
        below the initial margin too, as long as its fill cannot lose more than the margin.
        """
        held = self.held[account.number]
        exposures = self.house.exposures
        smallest = exposures.refused_figures()[0]
        smallest -= held.order_atoms * self._usd_per_atom(held)
        closes = exposures.only_closes(held.position, side, lots)
        if code == t.NO_MARGIN and smallest >= 0.0 and closes:
            return t.ACCEPTED_REDUCING
        return code

    def bring_for_amend(
        self, now_ns: int, account: Account, order: Order, lots: int, price_ticks: int
    ) -> None:
        """Move in what an order needs more with `lots` left at another price, if the parent can.

        If it cannot, the margin check of the new terms will say so. O(columns).
        """
        held = self.held[account.number]
        side = 1 if order.side > 0 else -1
        self.house.exposures.without_order(order.slot)
        more = self._margin_for(held, side, lots, price_ticks) if lots > 0 else 0
        self.house.exposures.with_order(order.slot)
        held.arriving_atoms = more if self._move_in(now_ns, held, more) is None else 0
        held.order_atoms += held.arriving_atoms

    def amended(
        self, now_ns: int, account: Account, order: Order, lots: int, *, refused: bool
    ) -> None:
        """An open order has `lots` left from now on, or its amendment was refused. O(open orders).

        What the orders need less than before goes back.
        """
        del order, lots
        held = self.held[account.number]
        arrived, held.arriving_atoms = held.arriving_atoms, 0
        if refused:
            held.order_atoms -= arrived
            self._return(now_ns, held, arrived)
        else:
            self._release(now_ns, held)

    def cancelled(self, now_ns: int, account: Account, order: Order) -> None:
        """An order of a holder has left the book: what only it needed goes back to the parent."""
        del order
        held = self.held[account.number]
        self._release(now_ns, held)
        self.sweep(now_ns, held)

    def _release(self, now_ns: int, held: Isolated) -> None:
        """Return what is held for orders and no longer needed by any."""
        atoms = max(0, held.order_atoms - self._demand(held))
        held.order_atoms -= atoms
        self._return(now_ns, held, atoms)

    def filled(
        self, now_ns: int, account: Account, order: Order, price_ticks: int, lots: int, fee: int
    ) -> None:
        """A fill of a holder's order is settled: its margin becomes the position's, or is freed.

        Opening: what was held for a worse price than it got goes back. Reducing: the position keeps
        its share of the margin and the rest goes back with the profit; a loss comes out of the
        margin. Neither leaves less than the initial margin. O(columns + open orders).
        """
        held = self.held[account.number]
        position, side = held.position, 1 if order.side > 0 else -1
        realised = position.realised_atoms - held.realised_atoms
        held.realised_atoms = position.realised_atoms
        before = position.lots - side * lots
        part = self._take_part(held, lots, opens=before * side >= 0)
        if order.is_liquidation:
            free = 0
        elif before * side >= 0:
            free = min(part, self._improvement(held, order, price_ticks, lots))
        else:
            after = self.margin_atoms(held)
            was = max(0, after - realised + fee - part)
            left = max(0, abs(before) - lots)
            keep = -(was * left // -abs(before))  # rounded up: against what leaves
            free = after - keep
        self._return(now_ns, held, min(free, self._headroom(held)))
        self.sweep(now_ns, held)

    def _take_part(self, held: Isolated, lots: int, *, opens: bool) -> int:
        """Make margin of the position what was held for `lots` just filled: what the other orders
        do not need; where prices have moved so that they need all, an equal part for every lot.
        """
        part = max(0, held.order_atoms - self._demand(held))
        if opens:
            row = self.house.exposures.positions[held.position.row]
            left = int(row[t.P_BUY] + row[t.P_SELL])
            part = max(part, held.order_atoms * lots // (lots + left))
        held.order_atoms -= part
        return part

    def _improvement(self, held: Isolated, order: Order, price_ticks: int, lots: int) -> int:
        """Atoms by which a fill costs less margin than was held for its limit price.

        The check of 16.17 counts a pending loss twice, in the balance after the fill and as a loss.
        """
        listing = held.listing
        side = -1 if (order.side > 0) == listing.is_inverse else 1
        value = listing.instrument.value_atoms
        limit, got = value(max(1, order.price_ticks), lots) * side, value(price_ticks, lots) * side
        if listing.is_option and side > 0:
            return max(0, limit - got)
        mark = value(int(self.house.market.mark_ticks[listing.number]), lots) * side
        return max(0, 2 * max(0, limit - mark) - max(0, got - mark))
