"""The margin of one account in plain Python: lists, loops and floats, no arrays.

What a straightforward program would do for every account; the yardstick of `margin.py`.
"""

from __future__ import annotations

from typing import Any

from risk import layout as at
from risk.account_kernels import AccountArrays, MarketArrays


class PlainLoop:
    """The accounts and the mark as Python lists."""

    def __init__(self, held: AccountArrays, market: MarketArrays) -> None:
        self.held: Any = held._make(array.tolist() for array in held)
        lists = [x.tolist() if hasattr(x, "tolist") else x for x in market]
        self.market: Any = market._make(lists)

    def margin(self, account: int) -> tuple[float, float, float]:
        """Maintenance margin, initial margin and adjusted equity of one account, USD."""
        held, market = self.held, self.market
        equity: dict[int, float] = {}
        cap: dict[int, float] = {}
        for b in range(held.first_balance[account], held.first_balance[account + 1]):
            equity[held.currency[b]] = held.amount[b]
            cap[held.currency[b]] = held.cap[b]
        coins = dict(equity)
        units: dict[int, list[tuple[int, int]]] = {}
        for p in range(held.first_position[account], held.first_position[account + 1]):
            i, lots = held.instrument[p], held.lots[p]
            value = lots * market.value[i]
            equity[market.settle[i]] += value
            if not market.is_option[i]:
                coins[market.settle[i]] += value
            units.setdefault(market.unit_of[i], []).append((i, lots))
        mmr = imr = 0.0
        for unit, pairs in units.items():
            base = market.unit_base[unit]
            part = self._unit(unit, pairs, coins[base], cap[base])
            mmr += part
            imr += market.unit_params[unit][at.U_INITIAL_FACTOR] * part
        adjusted = 0.0
        for c, amount in equity.items():
            usd = market.usd[c]
            if amount >= 0.0:
                adjusted += self._discounted(c, amount) * usd
                continue
            adjusted += amount * usd
            maintenance, initial = self._borrow(c, -amount)
            mmr -= amount * usd * maintenance
            imr -= amount * usd * initial
        return mmr, imr, adjusted

    def _unit(self, unit: int, pairs: list[tuple[int, int]], coins: float, cap: float) -> float:
        market, params = self.market, self.market.unit_params[unit]
        first, count = int(params[at.U_FIRST_COLUMN]), int(params[at.U_EXPIRY_COUNT])
        width = at.EXPIRIES + at.PER_EXPIRY * count
        vector = [0.0] * width
        raw = 0.0
        for i, lots in pairs:
            row = market.rows[i]
            for j in range(first, width):
                vector[j] += lots * row[j]
            raw += abs(lots) * (market.mr7_long[i] if lots > 0 else market.mr7_short[i])
        delta = vector[at.COIN_DELTA]
        use = 0.0
        if delta < 0.0 < coins:
            use = min(-delta, coins, cap)
        elif coins < 0.0 < delta:
            use = -min(delta, -coins, cap)
        spot = use * market.usd[market.unit_base[unit]]
        largest = max(
            self._worst(vector, spot, params, first),
            -vector[at.THETA],
            params[at.U_EXTREME_FACTOR] * self._extreme(vector, spot, params),
        )
        rest = self._terms(vector, params, count) + self._depeg(vector, params)
        return max(max(0.0, largest) + rest, self._tiers(raw, params))

    def _worst(self, vector: list[float], spot: float, params: list[float], first: int) -> float:
        worst = 0.0
        for s in range(at.SHOCKS):
            cells = [vector[at.SAME + s]]
            if first == 0:
                cells += [vector[at.SHOCKS * k + s] for k in range(at.SHIFTED_STATES)]
            worst = min(worst, min(cells) + spot * params[at.U_SHOCKS + s])
        return -worst

    def _extreme(self, vector: list[float], spot: float, params: list[float]) -> float:
        move = spot * params[at.U_EXTREME_MOVE]
        return -min(vector[at.EXTREME_UP] + move, vector[at.EXTREME_DOWN] - move)

    def _terms(self, vector: list[float], params: list[float], count: int) -> float:
        """MR3, MR4 and MR5."""
        expiry = int(params[at.U_EXPIRY_FROM])
        basis = abs(vector[at.PERPETUALS]) * params[at.U_BASIS_RATE]
        vega = [0.0, 0.0]
        value = [0.0, 0.0]
        for e in range(count):
            column, term = at.EXPIRIES + 3 * e, expiry + 3 * e
            basis += abs(vector[column]) * params[term + at.EXPIRY_RATE]
            shocked = vector[column + at.EXPIRY_VEGA] * params[term + at.EXPIRY_POINTS]
            vega[shocked < 0.0] += abs(shocked)
            worth = vector[column + at.EXPIRY_VALUE_YEARS]
            value[worth < 0.0] += abs(worth)
        return (
            basis + params[at.U_VEGA_FACTOR] * min(vega) + params[at.U_INTEREST_SHIFT] * min(value)
        )

    def _tiers(self, raw: float, params: list[float]) -> float:
        charge = lower = 0.0
        for k in range(int(params[at.U_TIER_COUNT])):
            upper, multiplier = params[at.U_TIERS + 2 * k], params[at.U_TIERS + 2 * k + 1]
            if raw <= lower:
                break
            charge += multiplier * (min(raw, upper) - lower)
            lower = upper
        return charge

    def _depeg(self, vector: list[float], params: list[float]) -> float:
        cash = [vector[at.CASH_USDT], vector[at.CASH_USDC], vector[at.CASH_USD]]
        count, bounds = int(params[at.U_PEG_COUNT]), int(params[at.U_PEG_FROM])
        charge = 0.0
        for pair, (a, b) in enumerate(((0, 2), (0, 1), (1, 2))):
            if cash[a] * cash[b] >= 0.0:
                continue
            hedge = min(abs(cash[a]), abs(cash[b]))
            sign = 1.0 if cash[a] > 0.0 else -1.0
            cash[a] -= sign * hedge
            cash[b] += sign * hedge
            lower, factors = 0.0, bounds + count * (1 + pair)
            for k in range(count):
                upper = params[bounds + k]
                if hedge <= lower:
                    break
                charge += params[factors + k] * (min(hedge, upper) - lower)
                lower = upper
        return charge

    def _discounted(self, c: int, amount: float) -> float:
        for upper, rate, lower, below in self.market.discounts[c]:
            if amount <= upper:
                return float(below + (amount - lower) * rate)
        raise AssertionError("the last tier has no end")

    def _borrow(self, c: int, amount: float) -> tuple[float, float]:
        steps, *tiers = self.market.borrows[c]
        for upper, maintenance, initial in tiers:
            if amount <= upper:
                return maintenance, initial
        beyond = -((tiers[-1][0] - amount) // steps[0])
        return tiers[-1][1] + beyond * steps[1], tiers[-1][2] + beyond * steps[2]
