"""Random portfolio files: all products, awkward sizes, prices off peg, expiries close to now.

`random_portfolio(rng)` needs a `random.Random`; `portfolios()` is the same as a hypothesis
strategy, which shrinks. Every portfolio is valid by portfolio-file.md.

Source: portfolio-file.md; portfolio-margin.md sections 3.1, 16.16.
"""

import math
from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import strategies as st

from tests.oracles.plain_tables import linear_coins

# coin -> a usual USD price
COINS = {
    "BTC": 97_000.0,
    "ETH": 3_300.0,
    "SOL": 190.0,
    "LTC": 102.0,
    "XRP": 2.9,
    "DOGE": 0.36,
    "ADA": 1.0,
    "BNB": 700.0,
    "SUI": 4.6,
    "AVAX": 38.0,
    "LINK": 22.0,
    "DASH": 38.0,
}
STABLE = ("USDT", "USDC")
OTHER_DOLLARS = ("USD", "UST", "USDE")
# upper bounds of some tiers: balances exactly on them must fall into the lower tier
TIER_BOUNDS = {
    "BTC": (20, 25, 30, 50),
    "ETH": (300, 400, 500, 800),
    "USDT": (1e6, 2e6, 3e6, 5e6),
    "USDC": (1e6, 2e6, 3e6, 4e6),
    "SOL": (5000, 6250, 7500, 12_500),
    "DASH": (2000, 2500),
}
EXPIRY_DAYS = (0, 0, 1, 2, 7, 8, 29, 30, 31, 59, 60, 75, 90, 91, 180, 365)
RULES = ("okx-2025", "okx-2024", "okx-2021")
OFFSET_MODES = {
    "okx-2025": ("merged",),
    "okx-2024": ("derivatives_only", "usdt", "usdc", "coin"),
    "okx-2021": ("derivatives_only",),
}
LINEAR_LOT = {"BTC": 0.01, "ETH": 0.01, "SOL": 0.01, "XRP": 0.01, "DOGE": 0.01, "ADA": 0.01}
OPTION_COINS = ("BTC", "ETH")


class _Maker:
    """One portfolio in the making; every draw goes through `rng`."""

    def __init__(self, rng: Random, rules: str, mode: str) -> None:
        self.rng = rng
        count = rng.choice((1, 1, 2, 2, 3, 5))
        self.coins = rng.sample(sorted(COINS), count)
        if rng.random() < 0.8 and not set(self.coins) & set(OPTION_COINS):
            self.coins[0] = rng.choice(OPTION_COINS)
        self.now = self._moment()
        self.expiries = sorted({self._expiry(d) for d in rng.sample(EXPIRY_DAYS, 4)})
        self.usd = {c: _round(COINS[c] * math.exp(rng.uniform(-0.7, 0.7))) for c in self.coins}
        for currency in STABLE:
            self.usd[currency] = rng.choice(
                (
                    1.0,
                    1.0,
                    0.99954,
                    0.99,
                    0.995,
                    0.95,
                    0.85,
                    0.8,
                    1.002,
                    _round(rng.uniform(0.7, 1.08)),
                )
            )
        self.market: dict = {
            "usd_index": self.usd,
            "index": {},
            "mark": {},
            "implied_vol": {},
            "forward": {},
        }
        self.rules, self.mode = rules, mode
        # most accounts hedge, at one scale per coin; independent sizes would hide the small one
        self.dollars: list[str] = []  # stablecoins held beside USDT and USDC
        self.scale = {
            c: 10.0 ** rng.uniform(*rng.choice(((-2.0, 4.0), (4.0, 6.0), (6.0, 8.3))))
            for c in self.coins
        }
        # the side that each quote leans to: opposite ones make hedges across quotes
        self.lean = {quote: rng.choice((1.0, -1.0)) for quote in (*STABLE, "USD")}

    def _moment(self) -> datetime:
        start = datetime(2025, 1, 15, tzinfo=UTC)
        day = start + timedelta(days=self.rng.randint(0, 200))
        clock = self.rng.choice(
            ((10, 26, 41), (0, 0, 0), (7, 59, 59), (8, 0, 0), (8, 0, 1), (23, 30, 0))
        )
        return day.replace(hour=clock[0], minute=clock[1], second=clock[2])

    def _expiry(self, days: int) -> str:
        """Return yymmdd of an expiry after now, `days` days away (rounded up)."""
        date = self.now.replace(hour=8, minute=0, second=0)
        if date <= self.now:
            date += timedelta(days=1)
        return (date + timedelta(days=days)).strftime("%y%m%d")

    def index(self, base: str, quote: str) -> float:
        """Return the pair's index, sometimes given and then a little off the USD prices."""
        plain = self.usd[base] / self.usd.get(quote, 1.0)
        name = f"{base}-{quote}"
        if name not in self.market["index"]:
            if self.rng.random() < 0.4:
                return plain
            self.market["index"][name] = _round(plain * (1.0 + self.rng.uniform(-0.004, 0.004)))
        return float(self.market["index"][name])

    def contract(self) -> str:
        """Return the id of a derivative of one of the coins."""
        coin = self.rng.choice(self.coins)
        kinds = ["usdt", "usdt", "usdc", "coin", "usdt_future", "usdc_future", "coin_future"]
        if coin in OPTION_COINS:
            kinds += ["option"] * 8
        kind, expiry = self.rng.choice(kinds), self.rng.choice(self.expiries)
        if kind == "option":
            return self._option(coin, expiry)
        quote = {"usdt": "USDT", "usdc": "USDC", "coin": "USD"}[kind.split("_")[0]]
        return f"{coin}-{quote}-{expiry if 'future' in kind else 'SWAP'}"

    def _option(self, coin: str, expiry: str) -> str:
        factor = self.rng.choice((1.0, 1.0, 0.9, 0.95, 1.05, 1.1, 0.5, 2.0, 0.1, 10.0))
        strike = max(1, round(self.usd[coin] * factor))
        return f"{coin}-USD-{expiry}-{strike}-{self.rng.choice('CP')}"

    def price(self, name: str) -> float:
        """Give the market what the instrument needs; return a price around which it trades."""
        parts = name.split("-")
        if len(parts) == 2:
            return self.index(parts[0], parts[1])
        marks, rng = self.market["mark"], self.rng
        if len(parts) == 5:
            return self._option_price(name, "-".join(parts[:3]))
        if name not in marks:
            wide = rng.random() < 0.08
            drift = rng.uniform(-0.7, 0.9) if wide else rng.uniform(-0.02, 0.02)
            marks[name] = _round(self.index(parts[0], parts[1]) * (1.0 + drift))
        return float(marks[name])

    def _option_price(self, name: str, underlying: str) -> float:
        market, rng = self.market, self.rng
        coin = name.split("-")[0]
        if name not in market["implied_vol"]:
            market["implied_vol"][name] = rng.choice(
                (0.55, 0.55, 0.8, 0.0, 0.005, 0.05, 0.25, _round(rng.uniform(0.1, 3.0)))
            )
            if rng.random() < 0.4:
                market["mark"][name] = _round(10.0 ** rng.uniform(-4.0, -0.3))
            draw = rng.random()
            if draw < 0.3:
                factor = rng.choice((rng.uniform(0.95, 1.1), rng.uniform(0.95, 1.1), 0.3, 0.22))
                market["forward"][underlying] = _round(self.usd[coin] * factor)
            elif draw < 0.6:
                self.price(underlying)
        return float(market["mark"].get(name, 0.03))

    def size(self, name: str) -> float:
        """Return a positive size in whole lots, at the coin's scale more often than not."""
        parts, rng = name.split("-"), self.rng
        if rng.random() < 0.6:
            usd = self.scale.get(parts[0], 1e5)
            usd *= rng.choice((1.0, 1.0, 0.5, 2.0, rng.uniform(0.1, 3.0)))
        else:
            usd = 10.0 ** rng.uniform(-2.0, 7.5)
        coins = usd / self.usd[parts[0]]
        if len(parts) == 2:
            return _lots(coins, 0.001)
        if len(parts) == 5:
            return _lots(coins / (0.01 if parts[0] == "BTC" else 0.1), 1.0)
        if parts[1] == "USD":
            return _lots(usd / (100.0 if parts[0] == "BTC" else 10.0), 1.0)
        whole = parts[1] == "USDC" and parts[0] in OPTION_COINS
        lot = 1.0 if whole else LINEAR_LOT.get(parts[0], 0.1)
        return _lots(coins / linear_coins(parts[0], parts[1]), lot)

    def entry(self, name: str) -> float:
        """Return an average entry price."""
        price, rng = self.price(name), self.rng
        if len(name.split("-")) == 5:
            return _round(max(1e-4, price * rng.uniform(0.3, 2.0)))
        return _round(price * rng.choice((1.0, rng.uniform(0.95, 1.05), rng.uniform(0.4, 2.5))))

    def balances(self) -> dict[str, float]:
        """Return the cash, from none to huge, on tier bounds, negative."""
        result, rng = {}, self.rng
        for currency in [*self.coins, *STABLE]:
            usd = rng.choice((self.scale.get(currency, 1e5), 10.0 ** rng.uniform(-2.0, 8.0)))
            coins = _round(usd / self.usd[currency])
            draw = rng.random()
            if draw < 0.15:
                continue
            if draw < 0.25:
                coins = 0.0
            elif draw < 0.35 and currency in TIER_BOUNDS:
                coins = float(rng.choice(TIER_BOUNDS[currency]))
            result[currency] = coins if rng.random() < 0.65 else -coins
        for currency in OTHER_DOLLARS:
            if rng.random() < 0.12:
                self.usd[currency] = 1.0 if currency == "USD" else _round(rng.uniform(0.6, 1.0))
                result[currency] = rng.choice((1.0, 1.0, -1.0)) * _round(10.0 ** rng.uniform(0, 7))
                if currency != "USD":
                    self.dollars.append(currency)
        return result

    def spot_pair(self) -> str:
        """Return the id of a spot pair of the account's currencies."""
        draw = self.rng.random()
        if draw < 0.08:
            return "USDC-USDT"
        if draw < 0.16:
            return f"{self.rng.choice(self.dollars or ['USDC'])}-USDT"
        return f"{self.rng.choice(self.coins)}-{self.rng.choice((*STABLE, *STABLE, 'USD'))}"

    def orders(self, held: list[str]) -> list[dict]:
        """Return open orders: in held and other contracts, in spot, on both sides."""
        rng, result = self.rng, []
        for _ in range(rng.choice((0, 0, 1, 2, 4, 8))):
            draw = rng.random()
            name = self.spot_pair() if draw < 0.35 else self.contract()
            if held and draw > 0.75:
                name = rng.choice(held)
            price = self.price(name) * rng.choice((1.0, rng.uniform(0.93, 1.07)))
            result.append(
                {
                    "instrument": name,
                    "side": rng.choice(("buy", "sell")),
                    "size": self.size(name),
                    "price": _round(price),
                }
            )
        return result

    def position(self, name: str) -> dict:
        """Return a position in an instrument."""
        sign = self.rng.choice((1.0, -1.0))
        if self.rng.random() < 0.6:
            sign = self.lean[name.split("-")[1]]
        return {"instrument": name, "size": sign * self.size(name), "entry_price": self.entry(name)}

    def cap(self, coin: str) -> float:
        """Return a cap on spot in use of the order of the coin's positions."""
        return _round(self.scale[coin] / self.usd[coin] * 10.0 ** self.rng.uniform(-2.0, 0.5))

    def finish(self) -> dict:
        """Return the whole portfolio."""
        rng = self.rng
        held = sorted({self.contract() for _ in range(rng.choice((0, 1, 2, 3, 5, 8, 12, 20)))})
        rng.shuffle(held)
        portfolio: dict = {
            "rules": self.rules,
            "mode": self.mode,
            "auto_borrow": rng.random() < 0.7,
            "time": self.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "market": self.market,
            "balances": self.balances(),
            "positions": [self.position(name) for name in held],
            "orders": self.orders(held),
        }
        if rng.random() < 0.4:
            portfolio["spot_offset"] = {c: rng.choice((0.0, self.cap(c))) for c in self.coins}
        if self.mode == "multi_currency":
            portfolio["leverage"] = {
                name: rng.choice((1, 3, 10, 20, 50, 100)) for name in held if rng.random() < 0.5
            }
        isolated = [self.contract() for _ in range(rng.choice((0, 0, 0, 1, 2)))]
        portfolio["isolated"] = [
            {**self.position(name), "margin": _round(10.0 ** rng.uniform(-2.0, 5.0))}
            for name in sorted(set(isolated))
        ]
        modes = OFFSET_MODES[self.rules]
        portfolio["offset_mode"] = rng.choice(modes)
        return portfolio


def _round(number: float) -> float:
    """Return the number with seven significant digits: a price that a person could type."""
    return float(f"{number:.7g}")


def _lots(size: float, lot: float) -> float:
    """Return the size in whole lots, one at least."""
    return round(max(1, round(size / lot)) * lot, 6)


def random_portfolio(rng: Random, rules: str | None = None, mode: str | None = None) -> dict:
    """Return a valid portfolio file as the dictionary that json or tomllib would give.

    `rules` and `mode` are drawn unless given; okx-2025 and portfolio margin are the likely ones.
    """
    rules = rules or rng.choice(("okx-2025", "okx-2025", *RULES))
    mode = mode or rng.choice(("portfolio", "portfolio", "portfolio", "multi_currency"))
    return _Maker(rng, rules, mode).finish()


def portfolios(rules: str | None = None, mode: str | None = None) -> st.SearchStrategy[dict]:
    """Return the hypothesis strategy of the same portfolios; it shrinks."""
    randoms = st.randoms(use_true_random=False)
    return randoms.map(lambda rng: random_portfolio(rng, rules, mode))
