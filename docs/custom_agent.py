"""A custom agent in 20 lines: it buys after a fall and sells after a rise, with limit orders."""

from __future__ import annotations

from agents.base import Agent, AgentContext, AgentProcess
from exchange.order import OrderRequest, OrderType, Side


class Contrarian(Agent):
    def __init__(self, context: AgentContext, instrument_id: str, usd: float) -> None:
        super().__init__(context)
        self.market = self.venue.market(instrument_id)
        self.lots = context.setup.usd_to_lots(instrument_id, usd)

    def run(self) -> AgentProcess:
        before = self.market.mark_price()
        while True:
            yield self.sleep(60)
            now = self.market.mark_price()
            side = Side.BUY if now < before else Side.SELL
            touch = self.market.best_bid_ticks() if side > 0 else self.market.best_ask_ticks()
            self.venue.cancel_all(self.market.instrument.instrument_id)
            if touch is not None and self.venue.account().can_trade:
                name = self.market.instrument.instrument_id
                self.venue.submit(OrderRequest(name, side, OrderType.POST_ONLY, self.lots, touch))
            before = now
