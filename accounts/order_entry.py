"""Order entry: the ways to place, change and cancel orders that end in one call to the house.

A market order for an amount of quote currency becomes a size, an option price in USD or volatility
becomes ticks, a batch becomes one order after the other, a client order id becomes the order's.
Nothing here books or matches; the check and the match stay one call of `ClearingHouse.submit`.

Source: portfolio-margin.md sections 9.1, 9.3, 16.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from accounts.market import E8
from exchange.events import OrderRejected, RejectReason
from exchange.order import OrderRequest, OrderType, Side, StpMode
from risk.black76 import option_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accounts.clearing import ClearingHouse
    from accounts.listing import Listing
    from exchange.instrument import Instrument

_YEAR_NS = 365 * 86_400 * 10**9
_VOLATILITY_DIGITS = 12  # of a coin price from Black-76, before it is rounded to a tick


@dataclass(frozen=True, slots=True)
class OptionPrice:
    """The price of an option order in one of three forms; exactly one is given.

    coin: coins per coin; usd: USD per coin; volatility: a fraction a year (0.55 = 55 %).
    """

    coin: Decimal | None = None
    usd: Decimal | None = None
    volatility: float | None = None


class OrderEntry:
    """All ways into the market of one clearing house. Stateless."""

    def __init__(self, house: ClearingHouse) -> None:
        self.house = house

    # --- market orders by quote amount ---------------------------------------------------------

    def submit_quote_amount(
        self, now_ns: int, account_number: int, request: OrderRequest, quote_atoms: int
    ) -> list[Any]:
        """Trade for at most `quote_atoms` of the quote currency, before fees; spot market orders.

        The size of `request` is replaced by what the book gives for the amount within the price
        limits, own orders left out; what the book does not give is not spent. The margin check
        takes a price that lets the whole order cost the amount and the reserve of the rule set,
        at most the price limit. BAD_SIZE if the amount buys no lot. O(orders it would meet).
        """
        listing = self.house.listings.get(request.instrument_id)
        if listing is None:
            return self.house.submit(now_ns, account_number, request)
        if not listing.is_spot or request.order_type != OrderType.MARKET:
            return self._reject(now_ns, account_number, request, RejectReason.BAD_ORDER_TYPE)
        buying = request.side > 0
        lots, spent = self._affordable(account_number, listing, request, quote_atoms)
        if lots == 0:  # an empty book: the order takes its chance at the limit, as any other
            limit = listing.high_ticks if buying else max(1, listing.low_ticks)
            lots = quote_atoms // max(1, listing.instrument.value_atoms(limit, 1))
            if spent < 0 or lots == 0:
                return self._reject(now_ns, account_number, request, RejectReason.BAD_SIZE)
            return self.house.submit(now_ns, account_number, replace(request, size_lots=lots))
        check = None
        if buying:
            reserve = Fraction(self.house.rules.orders.quote_reserve).limit_denominator(10**6)
            per_tick = Fraction(
                listing.instrument.value_numerator * lots, listing.instrument.value_denominator
            )
            check = min(listing.high_ticks, -(-(spent * (1 + reserve)) // per_tick))
        return self.house.submit(now_ns, account_number, replace(request, size_lots=lots), check)

    def _affordable(
        self, owner: int, listing: Listing, request: OrderRequest, quote_atoms: int
    ) -> tuple[int, int]:
        """Lots that `quote_atoms` trade against the book now, and their value in atoms.

        (0, 0) for an empty book, (0, -1) where the amount is too small for one lot.
        """
        book, instrument = listing.engine.book, listing.instrument
        buying = request.side > 0
        stp = request.stp_mode
        stops = (self.house.accounts[owner].stp_mode if stp is None else stp) != 0
        lots, spent = 0, 0
        for level in book.asks if buying else book.bids:
            price = level.price_ticks
            if price > listing.high_ticks if buying else price < listing.low_ticks:
                break
            for maker in level:
                if maker.owner == owner:
                    if stops:
                        return lots, spent
                    continue
                value = instrument.value_atoms(price, maker.remaining_lots)
                if spent + value > quote_atoms:
                    some = _lots_for(instrument, price, quote_atoms - spent)
                    if lots + some == 0:
                        return 0, -1
                    return lots + some, spent + instrument.value_atoms(price, some)
                lots, spent = lots + maker.remaining_lots, spent + value
        return lots, spent

    # --- options by USD price or volatility ----------------------------------------------------

    def submit_option(
        self, now_ns: int, account_number: int, request: OrderRequest, price: OptionPrice
    ) -> list[Any]:
        """Place an option order whose price is given in coin, USD or volatility.

        Converted once, at the present index and forward; never a worse price than asked for: a
        buy is rounded down to the tick, a sale up. Refused: not exactly one form, or USD and
        volatility for anything but options and limit orders.
        """
        listing = self.house.listings.get(request.instrument_id)
        if listing is None:
            return self.house.submit(now_ns, account_number, request)
        ticks = self._priced(now_ns, listing, request.side, request.order_type, price)
        if isinstance(ticks, RejectReason):
            return self._reject(now_ns, account_number, request, ticks)
        return self.house.submit(now_ns, account_number, replace(request, price_ticks=ticks))

    def amend_option(
        self, now_ns: int, account_number: int, client_order_id: str, price: OptionPrice
    ) -> list[Any]:
        """Give an open option order another price, in any of the three forms; as `amend`."""
        account = self.house.accounts[account_number]
        order = self.house.conditions.client_order(account, client_order_id)
        if order is None:
            return self.amend(now_ns, account_number, client_order_id)
        listing = self.house.listings[order.instrument.instrument_id]
        ticks = self._priced(now_ns, listing, order.side, order.order_type, price)
        if isinstance(ticks, RejectReason):
            request = OrderRequest(
                order.instrument.instrument_id,
                order.side,
                order.order_type,
                order.size_lots,
                None,
                client_order_id,
            )
            return self._reject(now_ns, account_number, request, ticks)
        return self.amend(now_ns, account_number, client_order_id, None, ticks)

    def _priced(
        self,
        now_ns: int,
        listing: Listing,
        side: Side,
        order_type: OrderType,
        price: OptionPrice,
    ) -> int | RejectReason:
        """The price in ticks, or why it is none."""
        forms = [f for f in (price.coin, price.usd, price.volatility) if f is not None]
        if len(forms) != 1:
            return RejectReason.PRICE_FORMS
        if price.coin is None and (not listing.is_option or order_type == OrderType.MARKET):
            return RejectReason.PRICE_FORM_TYPE
        if not forms[0] > 0:
            return RejectReason.BAD_PRICE
        ticks = self.option_ticks(now_ns, listing, side, price)
        return RejectReason.BAD_TICK if ticks is None else ticks

    def option_ticks(
        self, now_ns: int, listing: Listing, side: Side, price: OptionPrice
    ) -> int | None:
        """The price in ticks; None for a coin price off the tick. O(1).  Source: 3.1, 16.1."""
        instrument, market = listing.instrument, self.house.market
        if price.coin is not None:
            steps = Fraction(price.coin) / Fraction(instrument.tick)
            whole = steps.denominator == 1 and instrument.is_on_tick(steps.numerator)
            return steps.numerator if whole else None
        if price.usd is not None:
            coin = Fraction(price.usd) * E8 / market.usd_index_e8[instrument.base]
        else:
            assert price.volatility is not None
            assert instrument.strike is not None
            assert instrument.expiry_ns is not None
            forward = market.snapshot().forward_price(market.contracts[listing.number])
            value = option_value(
                forward,
                float(instrument.strike),
                (instrument.expiry_ns - now_ns) / _YEAR_NS,
                price.volatility,
                instrument.option_type == "C",
            )
            coin = Fraction(round(Decimal(value / forward), _VOLATILITY_DIGITS))
        steps = coin / Fraction(instrument.tick)
        if side > 0:
            return instrument.floor_to_grid(max(1, steps.__floor__()))
        return instrument.ceil_to_grid(max(1, steps.__ceil__()))

    # --- batches, client order ids, cancel-all -------------------------------------------------

    def submit_batch(
        self, now_ns: int, account_number: int, requests: Sequence[OrderRequest]
    ) -> list[list[Any]]:
        """Place orders one after the other; each has its own answer, none depends on another.

        A batch that is too large is refused whole, order by order.
        """
        if len(requests) > self.house.rules.orders.batch:
            return [
                self._reject(now_ns, account_number, request, RejectReason.BATCH_TOO_LARGE)
                for request in requests
            ]
        return [self.house.submit(now_ns, account_number, request) for request in requests]

    def amend(
        self,
        now_ns: int,
        account_number: int,
        client_order_id: str,
        new_size_lots: int | None = None,
        new_price_ticks: int | None = None,
    ) -> list[Any]:
        """Amend the open order with a client order id; AMEND_ORDER_NOT_FOUND if there is none."""
        house = self.house
        account = house.accounts[account_number]
        order = house.conditions.client_order(account, client_order_id)
        if order is None:
            wanted = _unknown_order(client_order_id, new_size_lots, new_price_ticks)
            return self._reject(now_ns, account_number, wanted, RejectReason.AMEND_ORDER_NOT_FOUND)
        return house.amend(now_ns, account_number, order.order_id, new_size_lots, new_price_ticks)

    def cancel(self, now_ns: int, account_number: int, client_order_id: str) -> list[Any]:
        """Cancel the open order with a client order id; ORDER_NOT_FOUND if there is none."""
        house = self.house
        account = house.accounts[account_number]
        order = house.conditions.client_order(account, client_order_id)
        if order is None:
            wanted = _unknown_order(client_order_id, None, None)
            return self._reject(now_ns, account_number, wanted, RejectReason.ORDER_NOT_FOUND)
        return house.cancel(now_ns, account_number, order.order_id)

    def cancel_all_after(self, now_ns: int, account_number: int, seconds: float) -> int | None:
        """Arm the dead man's switch: all orders go after `seconds` unless armed again; 0 disarms.

        Looked at at every mark. Returns the deadline, ns. ValueError outside the allowed range.
        """
        account = self.house.accounts[account_number]
        return self.house.conditions.arm(now_ns, account, seconds)

    def set_stp_mode(self, account_number: int, mode: StpMode) -> None:
        """The self-trade prevention of the account's orders that name none.  Source: 9.2."""
        self.house.accounts[account_number].stp_mode = mode

    def _reject(
        self, now_ns: int, account_number: int, request: OrderRequest, reason: RejectReason
    ) -> list[Any]:
        event = OrderRejected(now_ns, request, account_number, reason)
        self.house.emit(event)
        return [event]


def _lots_for(instrument: Instrument, price_ticks: int, atoms: int) -> int:
    """The most lots whose value at a price is at most `atoms`."""
    lots = atoms * instrument.value_denominator // (price_ticks * instrument.value_numerator)
    while lots and instrument.value_atoms(price_ticks, lots) > atoms:
        lots -= 1
    return lots


def _unknown_order(
    client_order_id: str, size_lots: int | None, price_ticks: int | None
) -> OrderRequest:
    """What a message about an order that does not exist asked for: no instrument, no side."""
    return OrderRequest("", Side.BUY, OrderType.LIMIT, size_lots or 0, price_ticks, client_order_id)
