"""The worked example of docs/liquidation.md: run it, and the page's block is what it prints."""

from __future__ import annotations

from accounts.account import Account
from accounts.events import (
    Bankruptcy,
    Deleveraging,
    FundBalance,
    MarginWarning,
    RiskAction,
    StateChange,
)
from exchange.events import OrderCancelled
from tests.accounts.small_exchange import SmallExchange

SWAP = "BTC-USDT-SWAP"


def example() -> list[str]:
    """Long 1 BTC from 50,000 with 7,000 USDT, a bid of its own, a small pool, one winner."""
    exchange = SmallExchange(SWAP, usd={"BTC": 50_000.0})
    exchange.fill_pool(SWAP, 200.0)
    trader = exchange.account("trader", USDT=27_000.0)
    winner = exchange.account("winner", USDT=20_000.0)
    exchange.give(trader, SWAP, 10_000, 50_000.0, giver=winner)
    exchange.order(trader, SWAP, 1, 49_000.0, 2_000)
    exchange.add(trader, "USDT", -20_000.0)
    lines = [_heading(exchange, 50_000.0, "the trader has just withdrawn 20,000 USDT")]
    lines += _told(exchange, trader, 50_000.0)
    lines.append(_heading(exchange, 48_900.0, "bids for 0.1 BTC at 48,850"))
    exchange.clear_quotes()
    exchange.quote(SWAP, 1, 48_850.0, 1_000)
    lines += _told(exchange, trader, 48_900.0)
    lines.append(_heading(exchange, 42_000.0, "a gap; nobody bids"))
    exchange.clear_quotes()
    lines += _told(exchange, trader, 42_000.0)
    return lines


def _heading(exchange: SmallExchange, price: float, what: str) -> str:
    return f"BTC {price:,.0f}: {what}"


def _told(exchange: SmallExchange, trader: Account, price: float) -> list[str]:
    """One check in words."""
    lines = []
    for event in exchange.check(BTC=price):
        if type(event) is StateChange and event.account == trader.number:
            lines.append(
                f"  {event.old.name.lower()} -> {event.new.name.lower()}: adjusted equity "
                f"{event.adjusted_equity_usd:,.2f}, maintenance margin "
                f"{event.maintenance_margin_usd:,.2f}, ratio {event.margin_ratio:.4f}"
            )
        elif type(event) is MarginWarning:
            lines.append(f"  warning at a ratio of {event.margin_ratio:.4f}")
        elif type(event) is OrderCancelled and event.order.owner == trader.number:
            lines.append(f"  his order for {event.remaining_lots} lots is cancelled")
        elif type(event) is RiskAction:
            lines.append(
                f"  {event.action_id}: {event.stage.name.lower()} of {event.filled_lots} lots at "
                f"{event.average_price:,.1f} (mark {event.mark_price:,.1f}, triggered by "
                f"{event.trigger_id or 'the path'}): {event.reason}"
            )
        elif type(event) is Deleveraging:
            lines.append(f"  the winner gives up {event.forgone_usd:,.2f} of his profit")
        elif type(event) is Bankruptcy:
            lines.append(
                f"  deficit {event.deficit_usd:,.2f} = fund {event.fund_usd:,.2f} + winners "
                f"{event.deleveraging_usd:,.2f} + uncovered {event.uncovered_usd:,.2f}"
            )
        elif type(event) is FundBalance:
            lines.append(
                f"  the pool has {event.atoms / 1e8:,.2f} USDT ({event.booking.name.lower()})"
            )
    return lines


if __name__ == "__main__":
    print("\n".join(example()))
