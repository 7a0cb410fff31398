"""The nine risks of one risk unit, each written as its sentence in the specification.

A unit is a dictionary instrument id -> contracts (signed, derivatives only) and the spot in use.

Source: portfolio-margin.md sections 6.4, 6.7, 16.3 to 16.12, 16.19.
"""

from math import fsum

from tests.oracles import plain_tables as tables
from tests.oracles.plain_market import Instrument, Market, parse

VOL_STATES = ["up_points", "up_percent", "same", "down_points", "down_percent"]


def interpolate(x: float, columns: list[float], values: list[float]) -> float:
    """Return the piecewise linear function through (columns, values), flat outside; ascending."""
    if x <= columns[0]:
        return values[0]
    for i in range(1, len(columns)):
        if x <= columns[i]:
            part = (x - columns[i - 1]) / (columns[i] - columns[i - 1])
            return values[i - 1] + part * (values[i] - values[i - 1])
    return values[-1]


def vol_points(days: float) -> float:
    """Return the shock of the volatility in points (0.30 = 30 points) at T days."""
    return interpolate(days, tables.VOL_DAYS, tables.VOL_POINTS)


def shocked_vol(sigma: float, days: float, state: str) -> float:
    """Return sigma' of one of VOL_STATES (16.4)."""
    points = vol_points(days)
    percent = interpolate(days, tables.VOL_DAYS, tables.VOL_PERCENT)
    return {
        "same": sigma,
        "up_points": sigma + points,
        "up_percent": sigma * (1.0 + percent),
        "down_points": max(tables.VOL_FLOOR, sigma - points),
        "down_percent": max(tables.VOL_FLOOR, sigma * (1.0 - percent)),
    }[state]


def marginal(tiers: list[tuple[float, float]], amount: float) -> float:
    """Return the sum over tiers (upper bound, rate) of rate x the part of `amount` in the tier."""
    total, lower = [], 0.0
    for upper, rate in tiers:
        if amount > lower:
            total.append(rate * (min(amount, upper) - lower))
        lower = upper
    return fsum(total)


def spot_in_use(coin_delta: float, equity: float, cap: float) -> float:
    """Return the signed coins of spot that hedge `coin_delta` (5.2)."""
    if coin_delta < 0.0 < equity:
        return min(abs(coin_delta), equity, cap)
    if equity < 0.0 < coin_delta:
        return -min(coin_delta, abs(equity), cap)
    return 0.0


class Unit:
    """One risk unit: the positions `holdings` of one coin and `use` coins of its spot."""

    def __init__(
        self, market: Market, rules: str, base: str, holdings: dict[str, float], use: float
    ) -> None:
        self.market = market
        self.rules = tables.RULES[rules]
        self.group = tables.group(base, rules)
        self.base = base
        self.usd = market.usd(base)
        self.use = use
        self.holdings: list[tuple[Instrument, float]] = [
            (parse(name), contracts)
            for name, contracts in sorted(holdings.items())
            if contracts != 0.0
        ]
        self.options = [(o, c) for o, c in self.holdings if o.kind == "OPTION"]

    def delta(self) -> float:
        """Return the USD delta of the derivatives."""
        return fsum(self.market.usd_delta(i, c) for i, c in self.holdings)

    # --- MR1 and MR6 --------------------------------------------------------------------------

    def cell(self, shock: float, state: str) -> float:
        """Return the USD profit of the whole unit in one scenario."""
        parts = [self.use * self.usd * shock]
        for instrument, contracts in self.holdings:
            sigma = None
            if instrument.kind == "OPTION":
                sigma = shocked_vol(
                    self.market.vol(instrument), self.market.days(instrument), state
                )
            parts.append(self.market.shock_pnl(instrument, contracts, shock, sigma))
        return fsum(parts)

    def shocks(self) -> list[str]:
        """Return the seven shocks as decimals, in the order of ties."""
        result = ["0"]
        for size in self.rules["shocks"][self.group]:
            result += [size, "-" + size]
        return result

    def scenarios(self) -> dict[str, dict[str, float]]:
        """Return mr1Scenarios: state -> shock -> USD profit."""
        table = {
            shock: {state: self.cell(float(shock), state) for state in VOL_STATES}
            for shock in self.shocks()
        }
        return {
            "volShockUp": {s: min(c["up_points"], c["up_percent"]) for s, c in table.items()},
            "volSame": {s: c["same"] for s, c in table.items()},
            "volShockDown": {s: min(c["down_points"], c["down_percent"]) for s, c in table.items()},
        }

    def worst(self) -> dict:
        """Return mr1FinalResult: the smallest cell; ties by state, then by shock."""
        best = None
        names = {"volShockUp": "up", "volSame": "unchange", "volShockDown": "down"}
        for state, cells in self.scenarios().items():
            for shock, pnl in cells.items():
                if best is None or pnl < best["pnl"]:
                    best = {"pnl": pnl, "spotShock": shock, "volShock": names[state]}
        assert best is not None
        return best

    def extreme(self) -> dict:
        """Return mr6FinalResult: the smaller of the two extreme cells."""
        size = self.rules["extreme"][self.group]
        cells = {shock: self.cell(float(shock), "same") for shock in (size, "-" + size)}
        shock = min(cells, key=lambda s: cells[s])
        return {"pnl": cells[shock], "spotShock": shock, "otherPnl": max(cells.values())}

    # --- the other risks ----------------------------------------------------------------------

    def mr2(self) -> float:
        """Return the option value lost in one day."""
        change = [
            c * o.value * (self.market.option_value(o, 1.0) - self.market.option_value(o))
            for o, c in self.options
        ]
        return max(0.0, -fsum(change))

    def _by_expiry(self, amounts: list[tuple[Instrument, float]]) -> dict:
        sums: dict = {}
        for instrument, amount in amounts:
            sums.setdefault(instrument.expiry, []).append(amount)
        return {expiry: fsum(parts) for expiry, parts in sums.items()}

    def _days(self, expiry: object) -> float:
        instrument = next(i for i, _ in self.holdings if i.expiry == expiry)
        return self.market.days(instrument)

    def mr3(self) -> float:
        """Return the charge for volatility that moves differently across expiries."""
        vegas = self._by_expiry([(o, self.market.greeks(o, c)["vega"]) for o, c in self.options])
        plus, minus = [0.0], [0.0]
        for expiry, vega in vegas.items():
            # vega is USD per point, so the shock is counted in points
            loss = vega * vol_points(self._days(expiry)) * 100.0
            (plus if vega > 0.0 else minus).append(abs(loss))
        return tables.MR3_FACTOR * min(fsum(plus), fsum(minus))

    def mr4(self) -> float:
        """Return the basis charge of the rule set."""
        deltas = self._by_expiry([(i, self.market.usd_delta(i, c)) for i, c in self.holdings])
        if self.rules["mr4"] == "hedged":
            return self._mr4_hedged(deltas)
        floor, annual = self.rules["mr4_floor"][self.group], self.rules["mr4_annual"][self.group]
        charges = []
        for expiry, delta in deltas.items():
            days = 0.0 if expiry is None else self._days(expiry)
            rate = floor if expiry is None else max(floor, annual * days / 365.0)
            charges.append(abs(delta) * rate)
        return fsum(charges)

    def _mr4_hedged(self, deltas: dict) -> float:
        """Return the older charge: what is long in one tenor and short in another (6.4)."""
        tenors = [(0.0, self.use * self.usd)]
        for expiry, delta in deltas.items():
            tenors.append((0.0 if expiry is None else self._days(expiry), delta))
        longs = sorted([t, d] for t, d in tenors if d > 0.0)
        shorts = sorted([t, -d] for t, d in tenors if d < 0.0)
        move, annual = self.rules["mr4_move"][self.group], self.rules["mr4_annual"][self.group]
        hedged = min(fsum(d for _, d in longs), fsum(d for _, d in shorts))
        charge = [move * 2.0 * hedged]
        while longs and shorts:  # nearest tenors are matched first
            matched = min(longs[0][1], shorts[0][1])
            gap = abs(longs[0][0] - shorts[0][0])
            charge.append(annual * gap / 365.0 * matched)
            for side in (longs, shorts):
                side[0][1] -= matched
                if side[0][1] <= 0.0:
                    side.pop(0)
        return fsum(charge)

    def mr5(self) -> float:
        """Return the charge for a shift of the yield curve."""
        values = self._by_expiry(
            [
                (o, c * o.value * self.market.option_value(o) * self.market.years(o))
                for o, c in self.options
            ]
        )
        plus = fsum(r for r in values.values() if r > 0.0)
        minus = fsum(-r for r in values.values() if r < 0.0)
        return tables.MR5_SHIFT[self.group] * min(plus, minus)

    def raw_mr7(self, instrument: Instrument, contracts: float) -> float:
        """Return the unadjusted minimum charge of one position, USD."""
        if instrument.kind != "OPTION":
            delta = self.market.usd_delta(instrument, contracts)
            return abs(delta) * tables.MR7_RATE[self.group]
        amount = contracts * instrument.value
        charge = tables.MR7_OPTION_RATE * self.usd
        if amount > 0.0:
            charge = min(charge, self.market.option_value(instrument))
        return charge * abs(amount)

    def mr7(self) -> float:
        """Return the minimum charge after the marginal multipliers."""
        raw = fsum(self.raw_mr7(i, c) for i, c in self.holdings)
        return marginal(self.rules["mr7_tiers"][self.group], raw)

    def mr9(self) -> float:
        """Return the charge for hedges between contracts of different quotes."""
        if not self.rules["mr9"]:
            return 0.0
        cash = {"USDT": 0.0, "USDC": 0.0, "USD": 0.0}
        for quote in cash:
            cash[quote] = fsum(
                self.market.usd_delta(i, c) for i, c in self.holdings if i.quote == quote
            )
        charges = []
        for a, b in (("USDT", "USD"), ("USDT", "USDC"), ("USDC", "USD")):
            if cash[a] * cash[b] >= 0.0:
                continue
            volume = min(abs(cash[a]), abs(cash[b]))
            for quote in (a, b):
                cash[quote] -= volume if cash[quote] > 0.0 else -volume
            price = self.market.usd(a) / self.market.usd(b)
            charges.append(depeg_charge(volume, min(price, 1.0 / price)))
        return fsum(charges)

    def components(self) -> dict[str, float]:
        """Return mr1 to mr9 (without mr8) and mmr, USD."""
        result = {
            "mr1": max(0.0, -self.worst()["pnl"]),
            "mr2": self.mr2(),
            "mr3": self.mr3(),
            "mr4": self.mr4(),
            "mr5": self.mr5(),
            "mr6": tables.MR6_FACTOR * max(0.0, -self.extreme()["pnl"]),
            "mr7": self.mr7(),
            "mr9": self.mr9(),
        }
        result["mmr"] = max(
            max(result["mr1"], result["mr2"], result["mr6"])
            + result["mr3"]
            + result["mr4"]
            + result["mr5"]
            + result["mr9"],
            result["mr7"],
        )
        return result


def depeg_charge(volume: float, pair_price: float) -> float:
    """Return MR9 of one pair: the marginal tier sum of a hedge of `volume` USD (16.11)."""
    tiers = []
    for upper, minimum, percents in tables.MR9_ROWS:
        percent = minimum
        if pair_price <= tables.MR9_COLUMNS[0]:
            percent = interpolate(pair_price, tables.MR9_COLUMNS[::-1], percents[::-1])
        tiers.append((upper, percent / 100.0))
    return marginal(tiers, volume)
