"""Leveraged longs and shorts: the accounts that a crash liquidates.

One entry of a scenario is a population. Each member has a portfolio-margin account with
auto-borrow, a position from the start, and now and then closes it and opens another one, through
the book.
Source: ecology.md sections 3 and 9 (redraw leverage and keep a buffer, or every calm day cascades).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, log, tanh
from typing import Annotated, Literal

from annotated_types import Interval, Unit, doc

from agents.base import NOTHING, Agent, AgentContext, AgentProcess, OwnOrder, Venue
from agents.draws import Draws
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, InitialPosition, Setup, usd_per_lot
from exchange.instrument import InstrumentKind


@dataclass(frozen=True, kw_only=True)
class LeveragedTraderParameters(AgentParameters):
    """A population of `accounts` leveraged traders in one instrument.

    In a perpetual or future they hold collateral and a position; in spot the longs have borrowed
    the quote currency and hold coins, the shorts have borrowed coins and hold quote currency."""

    kind: Literal["leveraged_trader"] = "leveraged_trader"
    instrument_id: Annotated[str, doc("perpetual, future or spot pair")] = "BTC-USDT-SWAP"
    accounts: Annotated[int, Interval(ge=1, le=100_000), doc("members of the population")] = 1000
    long_usd: Annotated[
        float, Interval(ge=0, le=1e12), Unit("USD"), doc("notional of all longs at the start")
    ] = 1.5e9
    short_usd: Annotated[
        float, Interval(ge=0, le=1e12), Unit("USD"), doc("notional of all shorts at the start")
    ] = 1.5e9
    size_exponent: Annotated[
        float, Interval(gt=0.5, le=10), doc("tail index of the notional of one account")
    ] = 1.3
    largest_share: Annotated[
        float, Interval(gt=0, le=1), doc("largest account's share of its side's notional")
    ] = 0.05
    median_leverage: Annotated[
        float, Interval(ge=0.1, le=100), doc("median of the leverage before the buffer rule")
    ] = 6.0
    leverage_log_sd: Annotated[
        float, Interval(ge=0, le=3), doc("sd of the logarithm of the leverage")
    ] = 1.0
    buffer: Annotated[
        float,
        Interval(ge=0, le=0.5),
        Unit("of notional"),
        doc("least equity above maintenance margin; leverage is redrawn until it is there"),
    ] = 0.06
    entry_log_sd: Annotated[
        float, Interval(ge=0, le=0.5), doc("sd of the log of entry price over first price")
    ] = 0.025
    collateral: Annotated[
        dict[str, Annotated[float, Interval(ge=0, le=1)]],
        doc("currency -> share of the equity held in it (perpetuals and futures); shares sum to 1"),
    ] = field(default_factory=lambda: {"USDT": 1.0})
    reopening_hours: Annotated[
        float,
        Interval(gt=0, le=1e5),
        Unit("h"),
        doc("mean time after which an account closes and opens anew, on a usual day"),
    ] = 720.0
    activity_power: Annotated[
        float, Interval(ge=0, le=3), doc("re-opening is faster as volatility to this power")
    ] = 0.75
    trend_following: Annotated[
        float, Interval(ge=0, le=0.5), doc("how far the chance of a new long follows the trend")
    ] = 0.3
    return_probability: Annotated[
        float, Interval(ge=0, le=1), doc("chance that a liquidated account opens again")
    ] = 0.2
    slice_size: Annotated[
        float, Interval(gt=0, le=1e4), Unit("units of depth"), doc("largest order of a re-opening")
    ] = 0.05
    slice_seconds: Annotated[
        float, Interval(gt=0, le=1e5), Unit("s"), doc("mean time between orders of one re-opening")
    ] = 10.0
    wake_seconds: Annotated[
        float, Interval(ge=0.1, le=3600), Unit("s"), doc("time between looks at the population")
    ] = 5.0
    smallest_equity_usd: Annotated[
        float, Interval(ge=0, le=1e9), Unit("USD"), doc("an account with less has left for good")
    ] = 100.0

    def __post_init__(self) -> None:
        if abs(sum(self.collateral.values()) - 1.0) > 1e-9:
            raise ValueError("collateral: the shares must sum to 1")

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        return population(self, setup, draws)

    def build(self, context: AgentContext) -> LeveragedTraders:
        return LeveragedTraders(context, self)


def draw_leverage(
    p: LeveragedTraderParameters, draws: Draws, maintenance_rate: float, profit: float = 0.0
) -> float | None:
    """A leverage that leaves the buffer above maintenance margin, by redrawing, not clipping.

    profit: unrealised profit at the start over notional. None if 1000 draws found none: clipping
    instead would put a wall of equal liquidation prices into the market."""
    for _ in range(1000):
        leverage = draws.lognormal(p.median_leverage, p.leverage_log_sd)
        if 1.0 / leverage + profit - maintenance_rate >= p.buffer:
            return leverage
    return None


def draw_sizes(p: LeveragedTraderParameters, draws: Draws, count: int, total: float) -> list[float]:
    """Pareto notionals that sum to `total` USD, none above `largest_share` of it where the count
    allows that."""
    if count == 0 or total == 0.0:
        return []
    raw = [draws.pareto(1.0, p.size_exponent) for _ in range(count)]
    cap = max(p.largest_share, 1.0 / count)
    for _ in range(100):
        norm = sum(raw)
        if max(raw) <= cap * norm * (1.0 + 1e-9):
            break
        raw = [min(size, cap * norm) for size in raw]
    norm = sum(raw)
    return [total * size / norm for size in raw]


def population(p: LeveragedTraderParameters, setup: Setup, draws: Draws) -> list[AccountPlan]:
    """Accounts of the population: half of them long, half short, balanced to whole lots.

    If `long_usd` equals `short_usd` the positions sum to zero lots: the largest short takes up the
    rounding. Otherwise the rest is for a counterparty, for example cash-and-carry traders."""
    both = (p.long_usd > 0.0) + (p.short_usd > 0.0)
    longs = p.accounts // both if p.long_usd > 0.0 and both else 0
    shorts = p.accounts - longs if p.short_usd > 0.0 else 0
    market = setup.markets[p.instrument_id]
    sizes = [*draw_sizes(p, draws, longs, p.long_usd)]
    sizes += [-usd for usd in draw_sizes(p, draws, shorts, p.short_usd)]
    lots = [setup.usd_to_lots(p.instrument_id, usd) or (1 if usd > 0 else -1) for usd in sizes]
    if sizes and p.long_usd == p.short_usd:
        largest_short = lots.index(min(lots))
        lots[largest_short] -= sum(lots)
    plans = []
    for count in lots:
        if market.instrument.kind == InstrumentKind.SPOT:
            plans.append(_spot_plan(p, setup, draws, count))
        else:
            plans.append(_derivative_plan(p, setup, draws, count))
    return plans


def _derivative_plan(
    p: LeveragedTraderParameters, setup: Setup, draws: Draws, lots: int
) -> AccountPlan:
    market = setup.markets[p.instrument_id]
    notional = abs(setup.lots_to_usd(p.instrument_id, lots))
    rate = setup.maintenance_rate(p.instrument_id, notional)
    entry = market.price * exp(p.entry_log_sd * draws.normal())
    profit = (1.0 - entry / market.price) * (1 if lots > 0 else -1)
    leverage = draw_leverage(p, draws, rate, min(profit, 0.0))
    if leverage is None:
        entry = market.price
        leverage = draw_leverage(p, draws, rate) or 1.0 / (rate + p.buffer)
    balances = {
        currency: notional / leverage * share / setup.usd_prices[currency]
        for currency, share in p.collateral.items()
    }
    position = InitialPosition(p.instrument_id, lots, entry)
    return AccountPlan(balances, (position,), p.account_mode)


def _spot_plan(p: LeveragedTraderParameters, setup: Setup, draws: Draws, lots: int) -> AccountPlan:
    market = setup.markets[p.instrument_id]
    instrument = market.instrument
    coins = lots * float(instrument.units_per_lot)
    cost = coins * market.price
    notional = abs(cost) * market.usd_per_quote
    rate = setup.maintenance_rate(p.instrument_id, notional)
    leverage = draw_leverage(p, draws, rate) or 1.0 / (rate + p.buffer)
    equity = abs(cost) / leverage
    balances = {instrument.base: coins, instrument.quote: equity - cost}
    return AccountPlan(balances, (), p.account_mode)


class _Member:
    """One account of the population and what it is doing."""

    __slots__ = ("pending", "target_lots", "venue", "working")

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.target_lots = 0
        self.working = False
        self.pending: OwnOrder | None = None


class LeveragedTraders(Agent):
    """One process that moves the whole population; see `LeveragedTraderParameters`."""

    hears = NOTHING

    def __init__(self, context: AgentContext, parameters: LeveragedTraderParameters) -> None:
        super().__init__(context)
        p = self.parameters = parameters
        self.market = self.venue.market(p.instrument_id)
        self.members = [_Member(venue) for venue in context.venues]
        self.setup = context.setup
        instrument = self.market.instrument
        self._is_spot = instrument.kind == InstrumentKind.SPOT
        self._units_per_lot = float(instrument.units_per_lot)
        self._slice = max(1, int(p.slice_size * self.market.lots_per_bp))
        self._working: list[_Member] = []
        self._trend = float("nan")
        self._last_log = float("nan")
        for member in self.members:
            member.target_lots = self.position_lots(member)

    def run(self) -> AgentProcess:
        while True:
            yield self.sleep(self.parameters.wake_seconds)
            self.step()

    def position_lots(self, member: _Member) -> int:
        """Signed lots of one account; spot: coins held, or borrowed and sold."""
        account = member.venue.account()
        if not self._is_spot:
            return account.position_lots(self.parameters.instrument_id)
        return round(account.balance(self.market.instrument.base) / self._units_per_lot)

    def step(self) -> None:
        """Follow the trend, let some accounts re-open, and send the slices that are due. O(active
        accounts), whatever the size of the population."""
        p = self.parameters
        price = self.market.mark_price()
        if not price > 0.0:
            return
        self._follow(log(price))
        stress = self.market.stress
        pace = min(max(stress.volatility / stress.usual_volatility, 1.0), 20.0) ** p.activity_power
        mean = len(self.members) * p.wake_seconds * pace / (p.reopening_hours * 3600.0)
        for _ in range(self._poisson(mean)):
            self._reopen(self.members[self.draws.below(len(self.members))], price)
        self._working = [member for member in self._working if self._trade(member)]

    def _follow(self, log_price: float) -> None:
        if self._trend != self._trend:
            self._trend = log_price
        weight = min(1.0, self.parameters.wake_seconds / 1800.0)
        self._trend += weight * (log_price - self._trend)
        self._last_log = log_price

    def _poisson(self, mean: float) -> int:
        count, elapsed = 0, self.draws.exponential(1.0)
        while elapsed < mean:
            count += 1
            elapsed += self.draws.exponential(1.0)
        return count

    def _reopen(self, member: _Member, price: float) -> None:
        """Give one account a new target: direction by trend, leverage from the distribution."""
        p = self.parameters
        account = member.venue.account()
        if member.working or not account.can_trade:
            return
        was_liquidated = member.target_lots != 0 and self.position_lots(member) == 0
        if was_liquidated and self.draws.uniform() >= p.return_probability:
            return
        equity = account.equity_usd
        if equity < p.smallest_equity_usd:
            return
        stress = self.market.stress
        trend = (self._last_log - self._trend) / (60.0 * stress.reference_volatility)
        sign = self.draws.sign(0.5 + p.trend_following * tanh(trend))
        rate = self.setup.maintenance_rate(p.instrument_id, equity * p.median_leverage)
        leverage = draw_leverage(p, self.draws, rate)
        if leverage is None:
            return
        if sign > 0:
            leverage *= min(1.0, 2.0 * stress.usual_volatility / stress.volatility) ** 0.5
        usd = self.setup.markets[p.instrument_id].usd_per_quote
        lot_usd = usd_per_lot(self.market.instrument, price, usd)
        member.target_lots = sign * int(equity * leverage / lot_usd)
        member.working = True
        self._working.append(member)

    def _trade(self, member: _Member) -> bool:
        """Send the next slice of one account; False when it is done or cannot go on."""
        pending = member.pending
        if pending is not None:
            if not pending.is_done:
                return True
            member.pending = None
            if pending.order is None:  # refused for margin, or nobody to trade with
                member.working = False
                return False
        if self.draws.uniform() * self.parameters.slice_seconds > self.parameters.wake_seconds:
            return True
        wanted = member.target_lots - self.position_lots(member)
        if wanted == 0 or not member.venue.account().can_trade:
            member.working = False
            return False
        size = min(abs(wanted), self._slice)
        request = self.taking_request(self.market, size if wanted > 0 else -size)
        if request is not None:
            member.pending = member.venue.submit(request)
        return True
