"""Two instruments held against each other: what arbitrageurs and carry traders have in common."""

from __future__ import annotations

from agents.base import Agent, MarketView, OwnOrder
from agents.setup import coins_per_lot
from exchange.instrument import InstrumentKind
from exchange.order import Side


class PairTrade:
    """A first and a second leg in one account, traded at once by IOC orders.

    `first_lots` and `second_lots` are the account's positions, from reported state. A pair is
    busy while a leg is on its way. Spot legs count the coins held above `idle_coins`.
    """

    def __init__(
        self, agent: Agent, first_id: str, second_id: str, idle_coins: float = 0.0
    ) -> None:
        self._agent = agent
        self.first = agent.venue.market(first_id)
        self.second = agent.venue.market(second_id)
        self._idle_coins = idle_coins
        self._pending: list[OwnOrder] = []
        self._refused_ns: dict[str, int] = {}

    def is_busy(self) -> bool:
        """True while an order of the pair has not been reported done."""
        for own in self._pending:
            if own.is_done and own.placed is None:
                self._refused_ns[own.request.instrument_id] = self._agent.now_ns
        self._pending = [own for own in self._pending if not own.is_done]
        return bool(self._pending)

    def was_refused(self, seconds: float, market: MarketView | None = None) -> bool:
        """True if the venue refused a leg (margin, borrowing, price limit), or that of `market`,
        in the last `seconds`: trading on would fill one leg alone, again and again."""
        if market is None:
            return any(self.was_refused(seconds, leg) for leg in (self.first, self.second))
        refused_ns = self._refused_ns.get(market.instrument.instrument_id)
        return refused_ns is not None and self._agent.now_ns - refused_ns < seconds * 1e9

    def coins(self, market: MarketView) -> float:
        """Signed exposure of one leg, in coins."""
        instrument = market.instrument
        account = self._agent.venue.account()
        if instrument.kind == InstrumentKind.SPOT:
            return account.balance(instrument.base) - self._idle_coins
        price = market.mark_price()
        return account.position_lots(instrument.instrument_id) * coins_per_lot(instrument, price)

    def premium(self, sign: int) -> float | None:
        """Log-like gain, over the first leg's price, of buying the first leg and selling the
        second (+1) or the reverse (-1), at the touch; None with an empty side."""
        if sign > 0:
            bought, sold = self.first.best_ask_ticks(), self.second.best_bid_ticks()
        else:
            bought, sold = self.second.best_ask_ticks(), self.first.best_bid_ticks()
        if bought is None or sold is None:
            return None
        if sign > 0:
            return sold * self.second.tick / (bought * self.first.tick) - 1.0
        return sold * self.first.tick / (bought * self.second.tick) - 1.0

    def touch_coins(self, sign: int) -> float:
        """Coins that both legs can trade at the touch, in the direction of `premium(sign)`."""
        smallest = float("inf")
        for market, side in (
            (self.first, Side.SELL if sign > 0 else Side.BUY),
            (self.second, Side.BUY if sign > 0 else Side.SELL),
        ):
            best = market.best_ask_ticks() if side < 0 else market.best_bid_ticks()
            if best is None:
                return 0.0
            lots = market.level_lots(side, best)
            smallest = min(smallest, lots * coins_per_lot(market.instrument, best * market.tick))
        return smallest

    def trade(self, coins: float, protection: float) -> None:
        """Buy `coins` of the first leg and sell as many of the second (negative: the reverse)."""
        self.send(self.first, coins, protection)
        self.send(self.second, -coins, protection)

    def balance_legs(self, protection: float, smallest_coins: float, pause_s: float) -> bool:
        """Trade a leg so that the two exposures cancel; False if they do already. That is the
        second; for `pause_s` after a refusal of it the first, which undoes what stands alone; and
        after a refusal of both none."""
        net = self.coins(self.first) + self.coins(self.second)
        if abs(net) < max(smallest_coins, self._lot_coins(self.second)):
            return False
        for leg in (self.second, self.first):
            if not self.was_refused(pause_s, leg):
                self.send(leg, -net, protection)
                break
        return True

    def send(self, market: MarketView, coins: float, protection: float) -> None:
        """One leg: an IOC of the nearest whole number of lots."""
        lots = round(coins / self._lot_coins(market))
        if lots == 0:
            return
        own = self._agent.take(market, lots, protection)
        if own is not None:
            self._pending.append(own)

    @staticmethod
    def _lot_coins(market: MarketView) -> float:
        best = market.best_bid_ticks() or market.best_ask_ticks() or 0
        return coins_per_lot(market.instrument, best * market.tick or float("inf"))
