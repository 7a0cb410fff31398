"""What an order costs in a whole simulation: agents, simpy, check, match, settlement, recording.

A crowd of simple traders in many accounts sends the mix of order_stream.py (50 % limit orders near
the touch, 30 % cancellations, 20 % takers) to a spot book, linear perpetuals in USDT and USDC, an
inverse perpetual, a dated future and an option. Every account holds two positions from the start.
Sent by all accounts, orders find their accounts' memory cold where accounts are many; sent by a few
(`active`), what grows is what each mark costs per account.

Prints one JSON object; `compiled` tells whether compiled modules ran (`make fast`). A message is an
order, a cancellation or an amendment; seconds are CPU of
the process between the first mark and the closed tables, and `bare_per_s` is the bare matching
engine of order_path.py on the same machine at the same time. `us_per_further_message` leaves out
what a run costs once, however many messages it has (the names of its accounts written, its summary
worked out): it compares the run with a short one of the same accounts.

    python benchmarks/simulation.py [--accounts 100,10000,100000] [--messages 200000]
    python benchmarks/simulation.py --scenario black-thursday --seconds 120
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from order_path import bare, requests
from order_stream import generate

from agents.base import NOTHING, Agent, AgentContext, AgentProcess, OwnOrder
from agents.draws import Draws
from agents.parameters import AgentParameters
from agents.setup import AccountPlan, InitialPosition, Setup
from exchange.compiled import SWITCH, is_compiled
from exchange.order import OrderRequest, OrderType, Side
from scenarios.run import run_scenario
from scenarios.simulation import Simulation
from scenarios.venue import VenueConnection

INSTRUMENTS = (
    "BTC-USDT", "BTC-USDT-SWAP", "BTC-USDC-SWAP", "BTC-USD-SWAP", "BTC-USDT-250926",
    "BTC-USD-250926-110000-C",
)  # fmt: skip
AGENTS = 50
RATE = 2_000.0  # messages a second of all agents
BURST = 3  # messages per look at the market, in one account and book (tariff-cascade 4, calm-day 2)
RESTING = 3_000  # live limit orders of all agents
CAPITAL_USD = 3_000_000.0
SHORT = 4_000  # messages of the short run
BUY, SELL, LIMIT, IOC = Side.BUY, Side.SELL, OrderType.LIMIT, OrderType.IOC  # cheap to look up
NEAR, THROUGH = 3e-4, 5e-4  # mean distance of limit orders from the mark; reach of takers


@dataclass(frozen=True, kw_only=True)
class CrowdParameters(AgentParameters):
    """One sender in `accounts` accounts."""

    kind: Literal["crowd"] = "crowd"
    accounts: int = 10
    active: int = 10  # the first of them send messages; the others hold what they have

    def account_plans(self, setup: Setup, draws: Draws) -> list[AccountPlan]:
        plans = []
        for number in range(self.accounts):
            names = chosen(number)
            shares = {c for n in names for c in currencies(setup, n)}
            held = tuple(
                InitialPosition(n, 1 if number % 2 else -1, setup.markets[n].price) for n in names
            )
            plans.append(
                AccountPlan({c: CAPITAL_USD / setup.usd_prices[c] for c in sorted(shares)}, held)
            )
        return plans

    def build(self, context: AgentContext) -> Crowd:
        return Crowd(context, self)


def chosen(number: int) -> tuple[str, str]:
    """The two instruments that account `number` of a crowd trades."""
    return INSTRUMENTS[number % 6], INSTRUMENTS[(number // 6 + number + 1) % 6]


def currencies(setup: Setup, instrument_id: str) -> tuple[str, ...]:
    instrument = setup.markets[instrument_id].instrument
    return (instrument.settle, instrument.base)


class Crowd(Agent):
    """Random messages from random accounts; it does not listen."""

    hears = NOTHING

    def __init__(self, context: AgentContext, parameters: CrowdParameters) -> None:
        super().__init__(context)
        self.sent = 0
        # Two books per account: what it may send to
        self.places = [
            (venue, name, self.venue.market(name))
            for number, venue in enumerate(context.venues[: parameters.active])
            for name in chosen(number)
        ]
        self.resting: deque[tuple[Any, OwnOrder]] = deque()

    def run(self) -> AgentProcess:
        env, draws = self.env, self.draws
        mean = AGENTS * BURST / RATE
        limit = RESTING // AGENTS
        while True:
            yield env.timeout(draws.exponential_ns(mean))
            place = self.places[int(draws.uniform() * len(self.places))]
            for _ in range(BURST):
                kind = draws.uniform()
                if kind < 0.2:
                    self.send(place, kind / 0.2, False)
                elif kind < 0.5 or len(self.resting) >= limit:
                    self.withdraw()
                else:
                    self.send(place, 2.0 * kind - 1.0, True)

    def send(self, place: tuple[Any, str, Any], uniform: float, rests: bool) -> None:
        """Send one order; `uniform` in [0, 1) decides on its side and size."""
        venue, name, market = place
        buys = uniform < 0.5
        if rests:
            best: float | None = market.mark_price() / market.tick
            distance, order_type = -self.draws.exponential(NEAR), LIMIT
        else:
            best = market.best_ask_ticks() if buys else market.best_bid_ticks()
            distance, order_type = THROUGH, IOC
        if best is None:
            return
        instrument = market.instrument
        if buys:
            side, price = BUY, instrument.floor_to_grid(int(best * (1.0 + distance)))
        else:
            side, price = SELL, instrument.ceil_to_grid(int(best * (1.0 - distance)) + 1)
        self.sent += 1
        own = venue.submit(OrderRequest(name, side, order_type, 1 + int(uniform * 40) % 20, price))
        if rests:
            self.resting.append((venue, own))

    def withdraw(self) -> None:
        resting = self.resting
        while resting:
            venue, own = resting.popleft()
            if not own.is_done:
                self.sent += 1
                venue.cancel(own)
                return


def tables(seconds: int) -> dict[str, Any]:
    """The scenario: a calm market, one patient bidder so that the table of agents is not empty."""
    return {
        "name": "crowd",
        "title": "A crowd of simple traders",
        "market": {
            "start": "2025-06-02T06:00:00Z",
            "end": f"2025-06-02T06:{seconds // 60:02d}:{seconds % 60:02d}Z",
            "instruments": list(INSTRUMENTS),
            "path": {"kind": "calm", "initial_prices": {"BTC-USDT": 105_000.0}},
            "depth_usd_per_bp": 1_000_000.0,
            "implied_vol": 0.5,
        },
        "recording": {"account_sample_s": 86_400.0},
        "agents": [{"kind": "patient_bidder", "instrument_id": "BTC-USDT-SWAP"}],
    }


def bare_speed() -> float:
    """Operations a second of the bare matching engine now."""
    rows, _ = generate(40_000, 7, 3000, 2000)
    ops = requests(rows)
    return 40_000 / min(bare(ops, ("BTC-USDT-SWAP",))[0] for _ in range(3))


@contextmanager
def counted() -> Iterator[list[int]]:
    """Counts the messages that traders send: how often, and nothing else."""
    sent = [0]
    originals = {name: getattr(VenueConnection, name) for name in ("submit", "cancel", "amend")}

    def counting(original: Any) -> Any:
        def method(self: Any, *arguments: Any, **named: Any) -> Any:
            sent[0] += 1
            return original(self, *arguments, **named)

        return method

    for name, original in originals.items():
        setattr(VenueConnection, name, counting(original))
    try:
        yield sent
    finally:
        for name, original in originals.items():
            setattr(VenueConnection, name, original)


def timed(scenario: str, overrides: Any, extra: Any, keep: bool) -> dict[str, Any]:
    """One run: CPU seconds of setting up and of the run, messages, marks, events of simpy."""
    moments: dict[str, Any] = {}

    def started(simulation: Simulation) -> None:
        moments["simulation"] = simulation
        moments["opened"] = time.process_time()

    counting = nullcontext([0]) if extra else counted()
    with tempfile.TemporaryDirectory() as folder, counting as sent:
        began = time.process_time()
        summary = run_scenario(
            scenario, 1, overrides, Path(folder) / "run", on_start=started, extra_agents=extra,
            keep=keep,
        )  # fmt: skip
        ended = time.process_time()
    seconds = ended - moments["opened"]
    agents = moments["simulation"].agents
    crowds = sum(agent.sent for agent in agents if isinstance(agent, Crowd))
    messages = max(1, sent[0] + crowds)
    events = moments["simulation"].env.events.scheduled
    return {
        "accounts": summary["accounts"],
        "messages": messages,
        "orders": summary["orders"],
        "fills": summary["fills"],
        "rejected": sum(summary["rejected_orders"].values()),
        "marks": moments["simulation"].house.market.version,
        "simpy_events_per_message": round(events / messages, 2),
        "opening_s": round(moments["opened"] - began, 2),
        "run_s": round(seconds, 3),
        "us_per_message": round(seconds / messages * 1e6, 2),
        "messages_per_s": round(messages / seconds),
        "orders_per_s": round(summary["orders"] / seconds),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "event_hash": summary["event_hash"][:16],
    }


def crowd(accounts: int, messages: int, keep: bool, active: int = 0) -> dict[str, Any]:
    """One run of the crowd with (about) this many accounts and messages; 0 active: all are."""
    seconds = max(2, round(messages / RATE))
    with tempfile.TemporaryDirectory() as folder:
        scenario = Path(folder) / "crowd.toml"
        scenario.write_text(as_toml(tables(seconds)), encoding="utf-8")
        each = max(2, accounts // AGENTS)
        parameters = CrowdParameters(
            count=AGENTS, accounts=each, active=max(2, active // AGENTS) if active else each
        )
        return {"active": active or accounts} | timed(
            str(scenario), (), (("crowd", parameters),), keep
        )


def beside_short(accounts: int, messages: int, keep: bool, active: int) -> dict[str, Any]:
    """A run of the crowd, and what each message costs beyond those of a short run."""
    short = crowd(accounts, SHORT, keep, active)
    whole = crowd(accounts, messages, keep, active)
    seconds = whole["run_s"] - short["run_s"]
    further = round(seconds / max(1, whole["messages"] - short["messages"]) * 1e6, 2)
    return whole | {"short_run_s": short["run_s"], "us_per_further_message": further}


def as_toml(value: dict[str, Any]) -> str:
    """TOML of nested tables, strings, numbers and lists of tables."""
    return "\n".join(f"{key} = {_inline(item)}" for key, item in value.items())


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    return json.dumps(value)


def event(name: str, seconds: int, keep: bool) -> dict[str, Any]:
    """The first `seconds` of a shipped scenario."""
    from scenarios.bar_file import format_time
    from scenarios.config import load_scenario

    start = load_scenario(name)[0].market.start
    end = format_time(start + seconds * 10**9)
    return {"scenario": name, **timed(name, {"market.end": end}, (), keep)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", default="100,10000,100000")
    parser.add_argument(
        "--active", default="100,0", help="accounts that send; 0: all. Several: each in turn"
    )
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--scenario", default="", help="measure these scenarios, not the crowd")
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--no-files", action="store_true", help="event hash and summary only")
    arguments = parser.parse_args()
    keep = not arguments.no_files
    crowd(100, 4_000, False)  # compile what is not in the cache, fill what is lazy
    cases = []
    if arguments.scenario:
        for name in arguments.scenario.split(","):
            cases.append(event(name, arguments.seconds, keep) | {"bare_per_s": round(bare_speed())})
    else:
        for text in arguments.active.split(","):
            for accounts in arguments.accounts.split(","):
                case = beside_short(int(accounts), arguments.messages, keep, int(text))
                cases.append(case | {"bare_per_s": round(bare_speed())})
    in_use = os.environ.get(SWITCH) != "0" and is_compiled()
    print(json.dumps({"recording": keep, "compiled": in_use, "cases": cases}, indent=1))


if __name__ == "__main__":
    main()
