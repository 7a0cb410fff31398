"""Settlement of a fill: postings, positions, fees, borrowing, for both sides at once.

A trade's value is computed once and booked to both sides, so nothing is lost between them. A
derivative's value moves between the two position-cost accounts; the part of a position that closes
moves its residual from cost to cash (design.md section 3). Spot and option premiums move cash.

Source: portfolio-margin.md sections 3.2, 4.1, 11.7; fees are paid in the settlement currency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from accounts.events import PostingKind
from exchange.units import divide_rounded
from risk.order_tables import NONE

if TYPE_CHECKING:
    from accounts.account import Position
    from accounts.exposures import Exposures
    from accounts.ledger import Ledger
    from accounts.listing import Listing
    from accounts.loans import Loans

TRADE: Final = int(PostingKind.TRADE)
REALISED: Final = int(PostingKind.REALISED)
FEE: Final = int(PostingKind.FEE)
SETTLEMENT: Final = int(PostingKind.SETTLEMENT)


class Settlement:
    """Books fills. One instance for the exchange; stateless but for its collaborators."""

    __slots__ = ("exposures", "ledger", "loans")

    def __init__(self, ledger: Ledger, exposures: Exposures, loans: Loans) -> None:
        self.ledger = ledger
        self.exposures = exposures
        self.loans = loans

    def settle(
        self,
        time_ns: int,
        listing: Listing,
        buyer: Position,
        seller: Position,
        value: int,
        lots: int,
        buyer_fee: int,
        seller_fee: int,
        buyer_order: int,
        seller_order: int,
        reference: int,
    ) -> None:
        """Book one trade of `lots` (> 0) worth `value` atoms between two positions of one
        instrument.

        value: `instrument.value_atoms` of the trade. Fees in atoms of the settlement currency
        (negative: rebate); orders: their exposure rows or NONE; reference: the fill id. O(columns).
        """
        ledger = self.ledger
        buyer_settle, seller_settle = buyer.settle, seller.settle
        buyer_cash, seller_cash = buyer_settle.cash, seller_settle.cash
        long = _long_lots(buyer) + _long_lots(seller)
        if listing.is_spot:
            self._spot(time_ns, listing, buyer, seller, value, lots, reference)
        elif listing.is_option:
            ledger.post(time_ns, TRADE, buyer_cash, seller_cash, value, reference)
            _premium(buyer, lots, value)
            _premium(seller, -lots, -value)
        else:
            signed = -value if listing.is_inverse else value
            ledger.post(time_ns, TRADE, buyer.ledger, seller.ledger, signed, reference)
            self._derivative(time_ns, buyer, lots, -signed, reference)
            self._derivative(time_ns, seller, -lots, signed, reference)
        listing.open_interest_lots += _long_lots(buyer) + _long_lots(seller) - long
        if buyer_fee:
            ledger.post(time_ns, FEE, buyer_cash, listing.fee_ledger, buyer_fee, reference)
        if seller_fee:
            ledger.post(time_ns, FEE, seller_cash, listing.fee_ledger, seller_fee, reference)
        balances = ledger.balances
        net, other_net = balances[buyer_cash], balances[seller_cash]
        if net < 0 or buyer_settle.liability_atoms:
            net = self.loans.square(time_ns, buyer_settle)
        if other_net < 0 or seller_settle.liability_atoms:
            other_net = self.loans.square(time_ns, seller_settle)
        base, other_base = 0, 0
        if listing.is_spot:
            base = self.loans.square(time_ns, buyer.base)
            other_base = self.loans.square(time_ns, seller.base)
        self.exposures.fill(
            lots, buyer_order, buyer, net, base, seller_order, seller, other_net, other_base
        )

    def _spot(
        self,
        time_ns: int,
        listing: Listing,
        buyer: Position,
        seller: Position,
        value: int,
        lots: int,
        reference: int,
    ) -> None:
        post = self.ledger.post
        coins = lots * listing.base_atoms_per_lot
        post(time_ns, TRADE, buyer.settle.cash, seller.settle.cash, value, reference)
        post(time_ns, TRADE, seller.base.cash, buyer.base.cash, coins, reference)

    def _derivative(
        self, time_ns: int, position: Position, signed_lots: int, cost: int, reference: int
    ) -> None:
        """Change a position by `signed_lots` with `cost` already posted to its cost account."""
        held = position.lots
        realised = 0
        if held and (held > 0) != (signed_lots > 0):
            if abs(signed_lots) < abs(held):
                closed = divide_rounded(position.cost_atoms * abs(signed_lots), abs(held))
                realised = cost + closed
                position.cost_atoms -= closed
            elif signed_lots == -held:
                realised = cost + position.cost_atoms
                position.cost_atoms = 0
            else:  # through zero: the part that closes, then a new position with the rest
                closing = divide_rounded(cost * abs(held), abs(signed_lots))
                realised = closing + position.cost_atoms
                position.cost_atoms = cost - closing
        else:
            position.cost_atoms += cost
        position.lots = held + signed_lots
        if realised:
            position.realised_atoms += realised
            self.ledger.post(
                time_ns, REALISED, position.ledger, position.settle.cash, realised, reference
            )

    def deliver(
        self,
        time_ns: int,
        listing: Listing,
        position: Position,
        clearing: int,
        value: int,
        fee: int,
    ) -> None:
        """Close a whole position against the ledger account `clearing` at expiry.

        value: what the position is worth at the settlement price, signed as `value at mark` is, in
        atoms of the settlement currency; option payoffs are cash. O(columns).
        """
        ledger, cash = self.ledger, position.settle.cash
        number = listing.number
        if listing.is_option:
            ledger.post(time_ns, SETTLEMENT, clearing, cash, value, number)
            position.realised_atoms += value - position.cost_atoms
        else:
            ledger.post(time_ns, SETTLEMENT, clearing, position.ledger, value, number)
            realised = value + position.cost_atoms
            position.realised_atoms += realised
            ledger.post(time_ns, REALISED, position.ledger, cash, realised, number)
        if fee:
            ledger.post(time_ns, FEE, cash, listing.fee_ledger, fee, number)
        listing.open_interest_lots -= _long_lots(position)
        position.lots = position.cost_atoms = 0
        self.exposures.set_holding(position, self.loans.square(time_ns, position.settle))

    def move(
        self,
        time_ns: int,
        listing: Listing,
        giver: Position,
        taker: Position,
        signed_lots: int,
        price_ticks: int,
        reference: int,
    ) -> None:
        """Pass `signed_lots` of the giver's position to the taker at `price_ticks`, off the book.

        No fee. Used by take-over and deleveraging.
        """
        if signed_lots > 0:
            buyer, seller = taker, giver
        else:
            buyer, seller = giver, taker
        lots = abs(signed_lots)
        value = listing.instrument.value_atoms(price_ticks, lots)
        self.settle(time_ns, listing, buyer, seller, value, lots, 0, 0, NONE, NONE, reference)


def _long_lots(position: Position) -> int:
    lots = position.lots
    return lots if lots > 0 else 0


def _premium(position: Position, signed_lots: int, premium: int) -> None:
    """Keep an option's average entry: `cost_atoms` is the premium of what is held (+ paid)."""
    held = position.lots
    if held and (held > 0) != (signed_lots > 0):
        if abs(signed_lots) <= abs(held):
            closed = divide_rounded(position.cost_atoms * abs(signed_lots), abs(held))
            position.realised_atoms += -premium - closed
            position.cost_atoms -= closed
        else:
            closing = divide_rounded(premium * abs(held), abs(signed_lots))
            position.realised_atoms += -closing - position.cost_atoms
            position.cost_atoms = premium - closing
    else:
        position.cost_atoms += premium
    position.lots = held + signed_lots
