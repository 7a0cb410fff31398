from accounts.clearing import ClearingHouse
from accounts.order_entry import OptionPrice, OrderEntry
from exchange.instrument import parse_instrument
from exchange.order import OrderRequest, OrderType, Side
from exchange.units import to_atoms
from risk.rules import load_rules

SPOT, CALL = "BTC-USDT", "BTC-USD-250328-100000-C"
now = 1_740_000_000 * 10**9  # 19 February 2025, nanoseconds
house = ClearingHouse([parse_instrument(SPOT), parse_instrument(CALL)], load_rules("okx-2025"))
prices = {
    "BTC": to_atoms("100000", "USD"),
    "USDT": to_atoms("1", "USD"),
    "USDC": to_atoms("1", "USD"),
}
house.publish(now, prices, {}, implied_vol={CALL: 0.5})
maker, trader = house.open_account("maker"), house.open_account("trader")
house.deposit(now, maker, "BTC", to_atoms("10", "BTC"))
house.deposit(now, trader, "USDT", to_atoms("50000", "USDT"))
entry = OrderEntry(house)


def show(events):
    for event in events:
        name, reason = type(event).__name__, getattr(event, "reason", None)
        if name == "Fill":
            instrument = event.instrument
            print(
                f"Fill: {instrument.size(event.size_lots)} at {instrument.price(event.price_ticks)}"
            )
        else:
            print(name if reason is None else f"{name}: {reason.name}")


# 0.5 BTC are offered at 100,000; the trader spends 10,000 USDT on them.
house.submit(now, maker.number, OrderRequest(SPOT, Side.SELL, OrderType.LIMIT, 500_000, 1_000_000))
market = OrderRequest(SPOT, Side.BUY, OrderType.MARKET, 1)
show(entry.submit_quote_amount(now, trader.number, market, to_atoms("10000", "USDT")))

# An option bid at a volatility of 48 %, once more under the same name, then moved.
bid = OrderRequest(CALL, Side.BUY, OrderType.LIMIT, 1, client_order_id="vol bid")
show(entry.submit_option(now, trader.number, bid, OptionPrice(volatility=0.48)))
show(entry.submit_option(now, trader.number, bid, OptionPrice(volatility=0.48)))
show(entry.amend(now, trader.number, "vol bid", new_price_ticks=595))

# If nothing is heard of the trader for ten seconds, all his orders go.
entry.cancel_all_after(now, trader.number, 10)
house.emit = lambda event: show([event])
house.publish(now + 10 * 10**9, prices, {}, implied_vol={CALL: 0.5})
