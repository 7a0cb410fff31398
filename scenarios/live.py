"""`selloff run --live`: follow a run while it goes on.

`LiveRun` listens to the events that matter (states, forced actions, bankruptcies) and takes a look
at the market a few hundred times a run. It draws by the wall clock, about four times a second and
never for more than a fiftieth of the time, so that watching does not slow the crash down. What it
looks at it never changes: a watched run has the event hash of one that nobody watched.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.live import Live

from accounts.events import AccountState, Bankruptcy, LiquidationStage, RiskAction, StateChange
from exchange.instrument import InstrumentKind
from scenarios.live_screen import ForcedStep, Frame, Instant, draw
from scenarios.market_sample import ONE_PERCENT, sample_market
from scenarios.simulation import Simulation

FRAME_SECONDS = 0.25
DRAWING_SHARE = 0.02
LOOKS = 480
"""Looks at the market in a run: columns of the widest chart."""
REMEMBERED = 60
_NOT_THE_TRADERS = (LiquidationStage.FUND_UNWIND, LiquidationStage.DELEVERAGING)


class LiveRun:
    """What is known of a run that is going on. Pass `watch` and `on_progress` to `run_scenario`.

    clock: wall clock in seconds; draws nothing where `live` is not started.
    """

    def __init__(
        self,
        name: str,
        console: Console,
        live: Live | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.name = name
        self.frames = 0
        self.drawing_seconds = 0.0
        self._console = console
        self._live = live
        self._clock = clock
        self._next_frame = 0.0
        self._next_look_ns = 0
        self._speed = (0.0, 0, 0.0)  # clock and simulated time at the last frame, their ratio
        self._first: dict[int, Instant] = {}
        self.now_ns = self.start_ns = self.end_ns = 0
        self.states = [0] * len(AccountState)
        self.forced: deque[ForcedStep] = deque(maxlen=REMEMBERED)
        self.forced_usd = self.deficit_usd = 0.0
        self.bankruptcies = 0
        self.liquidated: set[int] = set()
        self.marks = [float("nan")] * LOOKS
        self.flow = [0.0] * LOOKS

    # --- listening ---------------------------------------------------------------------------

    def watch(self, simulation: Simulation) -> None:
        """Listen to a simulation that is about to run."""
        self._simulation = simulation
        house = simulation.house
        self.start_ns, self.end_ns = simulation.path.start_ns, simulation.path.end_ns
        self.now_ns = self.start_ns
        self.main = _main_instrument(simulation)
        self.states[AccountState.HEALTHY] = sum(not a.is_fund for a in house.accounts)
        self.fund_start_usd = self._fund_usd()
        record = house.emit
        notes: dict[type, Callable[[Any], None]] = {
            StateChange: self._state_changed,
            RiskAction: self._acted,
            Bankruptcy: self._bankrupt,
        }

        def emit(event: Any) -> None:
            record(event)
            note = notes.get(type(event))
            if note is not None:
                note(event)

        house.emit = emit
        self._look(self.start_ns)
        self._draw()

    def _state_changed(self, event: StateChange) -> None:
        self.states[event.old] -= 1
        self.states[event.new] += 1

    def _acted(self, event: RiskAction) -> None:
        taken_over = event.stage == LiquidationStage.TAKE_OVER
        if not event.filled_lots and not taken_over:
            return
        account = self._simulation.house.accounts[event.account]
        self.forced.append(
            ForcedStep(
                event.time_ns,
                account.name,
                event.stage,
                event.instrument_id,
                event.side,
                event.notional_usd,
                event.average_price or event.bankruptcy_price,
            )
        )
        if event.stage not in _NOT_THE_TRADERS:
            self.liquidated.add(event.account)
            self.forced_usd += event.notional_usd
            self.flow[self._column(event.time_ns)] += event.notional_usd

    def _bankrupt(self, event: Bankruptcy) -> None:
        self.bankruptcies += 1
        self.deficit_usd += event.deficit_usd

    # --- looking -----------------------------------------------------------------------------

    def on_progress(self, now_ns: int, start_ns: int, end_ns: int) -> None:
        """After a mark: look if it is time to, draw if it is time to."""
        self.now_ns = now_ns
        if now_ns >= self._next_look_ns:
            self._look(now_ns)
        if self._clock() >= self._next_frame:
            self._draw()

    def _column(self, time_ns: int) -> int:
        return min(LOOKS - 1, (time_ns - self.start_ns) * LOOKS // (self.end_ns - self.start_ns))

    def _look(self, now_ns: int) -> None:
        column = self._column(now_ns)
        span = self.end_ns - self.start_ns
        self._next_look_ns = self.start_ns + (column + 1) * span // LOOKS + 1
        listing = self._simulation.house.by_number[self.main]
        ticks = int(self._simulation.house.market.mark_ticks[self.main])
        self.marks[column] = ticks * float(listing.instrument.tick)

    def instant(self, number: int) -> Instant:
        """How the market of one instrument looks now; `first_mark` is that of the first look."""
        simulation = self._simulation
        listing = simulation.house.by_number[number]
        instrument = listing.instrument
        sample = sample_market(
            self.now_ns,
            number,
            listing.engine.book,
            index_e8=round(simulation.world.index_price(instrument.base, instrument.quote) * 1e8),
            mark_ticks=int(simulation.house.market.mark_ticks[number]),
            last_ticks=listing.last_ticks,
        )
        tick = float(instrument.tick)
        mark = sample.mark_ticks * tick
        # USD per lot: a lot's value at the mark in its settlement currency, at that one's price.
        atoms = abs(instrument.value_atoms(max(1, sample.mark_ticks), 1_000)) / 1_000
        settle = simulation.house.market.currency_number[instrument.settle]
        lot_usd = (
            atoms
            * float(simulation.house.market.scales[settle])
            * simulation.house.market.usd[instrument.settle]
        )
        seen = Instant(
            instrument.instrument_id,
            sample.last_ticks * tick,
            mark,
            sample.index_e8 / 1e8,
            sample.bid_ticks * tick,
            sample.ask_ticks * tick,
            sample.bid_depth_lots[ONE_PERCENT] * lot_usd,
            sample.ask_depth_lots[ONE_PERCENT] * lot_usd,
        )
        first = self._first.setdefault(number, seen)
        seen.first_mark = first.mark
        seen.first_depth_usd = max(first.bid_depth_usd, first.ask_depth_usd)
        return seen

    def _fund_usd(self) -> float:
        funds = self._simulation.funds
        return sum(funds.cash_usd(pool) for pool in funds.pools.values())

    def frame(self) -> Frame:
        """All that one picture shows."""
        count = len(self._simulation.house.by_number)
        others = [n for n in range(count) if n != self.main]
        return Frame(
            name=self.name,
            now_ns=self.now_ns,
            share=(self.now_ns - self.start_ns) / (self.end_ns - self.start_ns),
            speed=self._speed[2],
            markets=[self.instant(n) for n in (self.main, *others)],
            marks=self.marks[: self._column(self.now_ns) + 1],
            flow=self.flow,
            states=self.states,
            forced=list(self.forced),
            forced_usd=self.forced_usd,
            liquidated=len(self.liquidated),
            bankruptcies=self.bankruptcies,
            deficit_usd=self.deficit_usd,
            fund_usd=self._fund_usd(),
            fund_start_usd=self.fund_start_usd,
        )

    def _draw(self) -> None:
        started = self._clock()
        before, before_ns, speed = self._speed
        if before and started > before:
            now = (self.now_ns - before_ns) / 1e9 / (started - before)
            speed = now if speed == 0.0 else 0.8 * speed + 0.2 * now
        self._speed = (started, self.now_ns, speed)
        if self._live is not None:
            size = self._console.size
            self._live.update(draw(self.frame(), size.width, size.height), refresh=True)
        ended = self._clock()
        self.frames += 1
        self.drawing_seconds += ended - started
        self._next_frame = ended + max(FRAME_SECONDS, (ended - started) / DRAWING_SHARE)


def _main_instrument(simulation: Simulation) -> int:
    """The perpetual with the deepest book; the deepest book where there is no perpetual."""
    depth = simulation.scenario.market.depth
    listed = list(enumerate(simulation.instruments))
    perpetuals = [x for x in listed if x[1].kind == InstrumentKind.PERPETUAL] or listed
    return max(perpetuals, key=lambda x: (depth(x[1].instrument_id), -x[0]))[0]
