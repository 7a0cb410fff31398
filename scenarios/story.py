"""One account's story in plain words with numbers: what it held, what moved, what was done to it,
who paid.

Read from a run's tables; every sentence belongs to a moment, so that a report can show them in
time.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain, groupby
from typing import Any

import polars as pl

from accounts.insurance import FUND_PREFIX
from scenarios.cascade import NOT_A_FALL
from scenarios.contract_values import ContractValues
from scenarios.formats import coins, percent, plural, price, ratio, signed_percent, usd
from scenarios.run_directory import Run

FORCED_CANCELS = ("risk_control", "borrow_limit", "adl", "position_closed", "insufficient_balance")
STAGE_WORDS = {
    "peg_hedge": "peg hedge (DDH1)",
    "delta_hedge": "delta hedge (DDH2)",
    "inter_tenor": "inter-tenor reduction",
    "standard": "standard reduction",
    "special": "special reduction",
    "repayment": "forced repayment",
    "take_over": "take-over",
    "isolated": "isolated liquidation",
    "fund_unwind": "unwinding by the fund",
    "deleveraging": "deleveraging",
}
STATE_WORDS = {
    "healthy": "is healthy again",
    "warned": "is warned",
    "order_control": "falls under order control",
    "pre_liquidation": "reaches pre-liquidation: its opening orders are cancelled",
    "liquidating": "is liquidated from here on",
    "bankrupt": "is bankrupt",
}
STEPS_TOLD = 12
"""Steps of one account told one by one; those between the first and the last are summed up."""


def clock(time_ns: int, *, date: bool = False) -> str:
    """UTC time of day, with the date where asked."""
    moment = datetime.fromtimestamp(time_ns // 10**9, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S")


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to the account. `kind` is state, cancel, step, loss or winner."""

    time_ns: int
    kind: str
    text: str
    stage: str = ""


@dataclass(slots=True)
class Story:
    """How it began, what happened, how it ended. `troubled_ns`: the first forced action."""

    account: int
    name: str
    troubled_ns: int | None = None
    opening: list[str] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    ending: list[str] = field(default_factory=list)


class StoryTeller:
    """Tells the stories of one run. Tables are read and split by account once."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.values = ContractValues(run)
        self.names = run.account_names

    def tell(self, account: int) -> Story:
        """The story of one account; short where nothing happened to it. O(its rows)."""
        story = Story(account, self.name(account))
        states = self._states[account]
        steps = self._steps[account]
        cancels = self._cancels[account]
        losses = self._losses[account]
        won = self._won[account]
        # The troubles begin with the first thing that was forced; with a threshold if nothing was.
        forced = [r["time_ns"] for rows in (steps, cancels, losses, won) for r in rows]
        times = forced or [r["time_ns"] for r in states]
        story.troubled_ns = min(times) if times else None
        story.opening = self._opening(account, story.troubled_ns)
        story.moments += self._state_moments(states)
        story.moments += self._cancel_moments(cancels)
        story.moments += self._step_moments(steps)
        story.moments += [self._loss_moment(r) for r in losses]
        story.moments += self._winner_moments(won)
        story.moments.sort(key=lambda m: m.time_ns)
        story.ending = self._ending(account, steps, losses)
        return story

    def name(self, account: int) -> str:
        """An account's name."""
        return self.names[account] if 0 <= account < len(self.names) else f"account {account}"

    @cached_property
    def affected(self) -> list[int]:
        """Accounts with a forced action, bankruptcy or deleveraging: those with a story."""
        accounts = {*self._steps, *self._losses, *self._won}
        return sorted(a for a in accounts if not self.name(a).startswith(FUND_PREFIX))

    def _split(self, frame: pl.DataFrame, column: str) -> dict[int, list[dict[str, Any]]]:
        rows: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for row in frame.iter_rows(named=True):
            rows[row[column]].append(row)
        return rows

    @cached_property
    def _states(self) -> dict[int, list[dict[str, Any]]]:
        return self._split(self.run.states, "account")

    @cached_property
    def _steps(self) -> dict[int, list[dict[str, Any]]]:
        own = ~self.run.liquidations["stage"].cast(pl.String).is_in(NOT_A_FALL)
        return self._split(self.run.liquidations.filter(own), "account")

    @cached_property
    def _losses(self) -> dict[int, list[dict[str, Any]]]:
        return self._split(self.run.bankruptcies, "account")

    @cached_property
    def _won(self) -> dict[int, list[dict[str, Any]]]:
        return self._split(self.run.deleveragings, "winner")

    @cached_property
    def _cancels(self) -> dict[int, list[dict[str, Any]]]:
        if not self.run.has("orders"):
            return defaultdict(list)
        forced = pl.col("reason").cast(pl.String).is_in(FORCED_CANCELS)
        return self._split(
            self.run.scan("orders").filter(pl.col("event") == "cancelled", forced).collect(),
            "account",
        )

    @cached_property
    def _takers(self) -> dict[int, dict[int, float]]:
        """Who took the other side: action id -> account -> USD."""
        sides: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        if self.run.has("fills"):
            forced = self.run.scan("fills").filter(pl.col("cause_id") > 0).collect()
            for action, maker, notional in forced.select(
                "cause_id", "maker", "notional_usd"
            ).iter_rows():
                sides[action][maker] += notional
        return sides

    @cached_property
    def _legs(self) -> dict[int, list[dict[str, Any]]]:
        """Fills of the affected accounts, one row per side: time, instrument, lots, price."""
        if not self.run.has("fills"):
            return defaultdict(list)
        sign = pl.when(pl.col("taker_side") == "buy").then(1).otherwise(-1)
        fills = self.run.scan("fills")
        columns: list[Any] = ["time_ns", pl.col("instrument").cast(pl.String), "price"]
        legs = pl.concat(
            [
                fills.select(*columns, account="taker", lots=pl.col("size_lots") * sign),
                fills.select(*columns, account="maker", lots=-pl.col("size_lots") * sign),
            ]
        ).filter(pl.col("account").is_in(self.affected))
        rows = self._split(legs.collect(), "account")
        for row in self.run.positions.iter_rows(named=True):
            rows[row["account"]].insert(0, self._opening_leg(row))
        return rows

    def _opening_leg(self, row: dict[str, Any]) -> dict[str, Any]:
        """A position that stood at the start, as if it had been traded then at its entry price."""
        instrument, lots = str(row["instrument"]), int(row["lots"])
        entry = self.values.entry(instrument)
        units = abs(self.values.units(instrument, lots))
        cost = abs(self.values.amount(entry["settle"], row["cost_atoms"]))
        average = (units / cost if entry["inverse"] else cost / units) if cost else 0.0
        return {
            "time_ns": row["time_ns"] - 1,
            "instrument": instrument,
            "price": average,
            "account": row["account"],
            "lots": lots,
        }

    def _opening(self, account: int, first_ns: int | None) -> list[str]:
        if first_ns is None:
            return ["Nothing was forced on this account."]
        held: dict[str, tuple[int, float]] = {}
        for leg in self._legs[account]:
            if leg["time_ns"] >= first_ns:
                break
            lots, entry = held.get(leg["instrument"], (0, 0.0))
            held[leg["instrument"]] = _averaged(lots, entry, leg["lots"], leg["price"])
        return [
            self._held_words(instrument, lots, entry, first_ns)
            for instrument, (lots, entry) in sorted(held.items())
            if lots
        ]

    def _held_words(self, instrument: str, lots: int, entry: float, time_ns: int) -> str:
        side = "long" if lots > 0 else "short"
        units = self.values.units(instrument, abs(lots))
        size = f"{coins(units)} {self.values.unit_name(instrument)}"
        if not self.run.has("prices"):
            return f"Held {side} {size} in {instrument}, entered at {price(_shown(entry))}."
        mark = self.values.mark(instrument, time_ns)
        moved = mark / entry - 1.0 if entry else 0.0
        verb = "bought" if lots > 0 else "sold"
        return (
            f"Held {side} {size} in {instrument}, {verb} at {price(_shown(entry))} on average;"
            f" when its troubles began at {clock(time_ns)} the mark stood at"
            f" {price(_shown(mark))} ({signed_percent(moved)})."
        )

    def _state_moments(self, rows: list[dict[str, Any]]) -> list[Moment]:
        """One moment per change; swings about the warning level beyond the first are summed up."""
        moments = []
        for mild, group in groupby(rows, lambda r: str(r["state"]) in ("healthy", "warned")):
            changes = list(group)
            told = changes if not mild or len(changes) <= 3 else changes[:1]
            moments += [self._state_moment(r) for r in told]
            rest = changes[len(told) :]
            if rest:
                ratios = [r["margin_ratio"] for r in rest]
                text = (
                    f"Until {clock(rest[-1]['time_ns'])} it crossed the warning level"
                    f" {len(rest)} more times, ratio {ratio(min(ratios))} to {ratio(max(ratios))};"
                    f" then it {STATE_WORDS[str(rest[-1]['state'])]}."
                )
                moments.append(Moment(rest[0]["time_ns"], "state", text, str(rest[-1]["state"])))
        return moments

    def _state_moment(self, row: dict[str, Any]) -> Moment:
        state = str(row["state"])
        need = row["maintenance_margin_usd"]
        text = f"It {STATE_WORDS[state]}"
        if need > 0:
            text += (
                f": margin ratio {ratio(row['margin_ratio'])} = adjusted equity"
                f" {usd(row['adjusted_equity_usd'])} / maintenance margin {usd(need)} USD"
            )
        if need > 0 and state == "order_control" and row["initial_margin_usd"] > 0:
            share = row["adjusted_equity_usd"] / row["initial_margin_usd"]
            text += (
                f"; equity covers {percent(share, 1)} of the initial margin"
                f" {usd(row['initial_margin_usd'])} USD"
            )
        return Moment(row["time_ns"], "state", text + ".", state)

    def _cancel_moments(self, rows: list[dict[str, Any]]) -> list[Moment]:
        grouped: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            grouped[row["time_ns"], str(row["reason"])].append(row)
        moments = []
        for (time_ns, reason), cancelled in grouped.items():
            shown = ", ".join(
                f"{r['side']} {coins(r['remaining'])} {r['instrument']} at {price(r['price'] or 0)}"
                for r in cancelled[:3]
            )
            more = f" and {len(cancelled) - 3} more" if len(cancelled) > 3 else ""
            words = reason.replace("_", " ")
            text = (
                f"The venue cancelled {plural(len(cancelled), 'order')} ({words}): {shown}{more}."
            )
            moments.append(Moment(time_ns, "cancel", text, reason))
        return moments

    def _step_moments(self, rows: list[dict[str, Any]]) -> list[Moment]:
        """Steps one by one, empty attempts in a row as one, the middle of many summed up."""
        told: list[list[dict[str, Any]]] = []
        for empty, group in groupby(rows, lambda r: not r["filled_lots"]):
            steps = list(group)
            told += [steps] if empty else [[step] for step in steps]
        if len(told) > STEPS_TOLD:
            half = STEPS_TOLD // 2
            told = [*told[:half], list(chain.from_iterable(told[half:-half])), *told[-half:]]
        return [self._steps_moment(steps) for steps in told]

    def _steps_moment(self, rows: list[dict[str, Any]]) -> Moment:
        if len(rows) == 1:
            return self._step_moment(rows[0])
        first, until = rows[0], clock(rows[-1]["time_ns"])
        notional = sum(r["notional_usd"] for r in rows)
        if notional:
            text = (
                f"{len(rows)} more steps until {until} traded {usd(notional)} USD and lost"
                f" {usd(sum(r['slippage_usd'] for r in rows))} USD to slippage."
            )
        else:
            text = (
                f"{len(rows)} attempts until {until} to {first['side']}"
                f" {coins(first['wanted'] or 0.0)} {first['instrument']} found nobody within the"
                f" limit ({price(first['limit_price'] or 0.0)} at first)."
            )
        return Moment(first["time_ns"], "step", text, str(first["stage"]))

    def _step_moment(self, row: dict[str, Any]) -> Moment:
        stage = str(row["stage"])
        text = f"{STAGE_WORDS[stage].capitalize()}"
        if row["reason"]:
            text += f" ({row['reason']})"
        instrument, size = str(row["instrument"]), row["filled"] or 0.0
        if stage == "take_over":
            text += (
                f": the pool took {coins(size)} {instrument} at the bankruptcy price"
                f" {price(_shown(row['bankruptcy_price']))},"
                f" mark {price(_shown(row['mark_price']))}"
            )
        elif row["filled_lots"]:
            text += (
                f": {_past(str(row['side']))} {coins(size)} of {coins(row['wanted'])} {instrument}"
                f" at {price(_shown(row['average_price']))} ({usd(row['notional_usd'])} USD),"
                f" {self._slippage_words(row)}{self._taker_words(row['action_id'])}"
            )
        else:
            text += (
                f": wanted to {row['side']} {coins(row['wanted'] or 0.0)} {instrument}, but nobody"
                f" stood within the limit {price(row['limit_price'] or 0.0)}"
            )
        if row["ratio_after"] is not None and stage != "take_over" and row["filled_lots"]:
            text += f"; ratio {ratio(row['ratio_before'])} -> {ratio(row['ratio_after'])}"
        if row["trigger_id"]:
            text += f"; pushed by action {row['trigger_id']}{self._pusher(row['trigger_id'])}"
        return Moment(row["time_ns"], "step", text + ".", stage)

    @cached_property
    def _account_of_action(self) -> dict[int, int]:
        return dict(self.run.liquidations.select("action_id", "account").iter_rows())

    def _pusher(self, action_id: int) -> str:
        account = self._account_of_action.get(action_id)
        return "" if account is None else f" of {self.name(account)}"

    def _slippage_words(self, row: dict[str, Any]) -> str:
        lost, notional = row["slippage_usd"], row["notional_usd"]
        share = percent(abs(lost) / notional) if notional else "0 %"
        side = "worse" if lost >= 0 else "better"
        return f"{share} {side} than the mark ({usd(abs(lost))} USD), fee {usd(row['fee_usd'])} USD"

    def _taker_words(self, action_id: int) -> str:
        sides = sorted(self._takers[action_id].items(), key=lambda item: (-item[1], item[0]))
        if not sides:
            return ""
        total = sum(usd_value for _, usd_value in sides)
        shown = ", ".join(f"{self.name(a)} {percent(v / total, 0)}" for a, v in sides[:3])
        more = f" and {len(sides) - 3} more" if len(sides) > 3 else ""
        return f"; other side: {shown}{more}"

    def _loss_moment(self, row: dict[str, Any]) -> Moment:
        deficit = row["deficit_usd"]
        if deficit <= 0.005:
            text = f"Taken over with equity {usd(row['equity_usd'])} USD: nothing was missing."
        else:
            text = f"{usd(deficit)} USD were missing. {_payers(row)}"
        return Moment(row["time_ns"], "loss", text, "bankrupt")

    def _winner_moments(self, rows: list[dict[str, Any]]) -> list[Moment]:
        if len(rows) <= 4:
            return [self._winner_moment(r) for r in rows]
        rest = rows[2:]
        text = (
            f"Deleveraged {len(rest)} more times until {clock(rest[-1]['time_ns'])}; profit forgone"
            f" {usd(sum(r['forgone_usd'] for r in rest))} USD."
        )
        told = [self._winner_moment(r) for r in rows[:2]]
        return [*told, Moment(rest[0]["time_ns"], "winner", text, "deleveraging")]

    def _winner_moment(self, row: dict[str, Any]) -> Moment:
        text = (
            f"Deleveraged: {coins(abs(row['size']))} {row['instrument']} of its winning position"
            f" were closed at {price(_shown(row['price']))} (mark {price(_shown(row['mark']))})"
            f" against {self.name(row['loser'])}; profit forgone {usd(row['forgone_usd'])} USD."
        )
        return Moment(row["time_ns"], "winner", text, "deleveraging")

    def _ending(
        self, account: int, steps: list[dict[str, Any]], losses: list[dict[str, Any]]
    ) -> list[str]:
        sold = [s for s in steps if s["stage"] != "take_over"]
        ending = []
        if sold:
            filled = sum(1 for s in sold if s["filled_lots"])
            ending.append(
                f"In {plural(len(sold), 'forced order')} ({filled} filled)"
                f" {usd(sum(s['notional_usd'] for s in sold))} USD were traded; slippage cost"
                f" {usd(sum(s['slippage_usd'] for s in sold))} USD and fees"
                f" {usd(sum(s['fee_usd'] for s in sold))} USD."
            )
        taken = sum(s["notional_usd"] for s in steps if s["stage"] == "take_over")
        if taken:
            ending.append(f"Positions of {usd(taken)} USD went to the insurance fund.")
        for row in losses:
            if row["deficit_usd"] > 0.005:
                ending.append(f"It left a hole of {usd(row['deficit_usd'])} USD. {_payers(row)}")
        states = self._states[account]
        if states and not losses:
            ending.append(f"At the end it is {str(states[-1]['state']).replace('_', ' ')}.")
        return ending


def _averaged(held: int, entry: float, lots: int, at: float) -> tuple[int, float]:
    """Position and average entry after a fill; what closes leaves the average alone."""
    after = held + lots
    if held == 0 or (held > 0) == (lots > 0):
        return after, (held * entry + lots * at) / after
    return (after, entry) if (after > 0) == (held > 0) or after == 0 else (after, at)


def _payers(row: dict[str, Any]) -> str:
    """Who paid a deficit, in the order of the waterfall."""
    parts = [
        (row["fund_usd"], "the insurance fund paid"),
        (row["deleveraging_usd"], "deleveraged winners paid"),
        (row["socialised_usd"], "all winners shared"),
        (row["uncovered_usd"], "nobody paid"),
    ]
    words = [f"{text} {usd(amount)} USD" for amount, text in parts if amount > 0.005]
    if not words:
        return ""
    pools = json.loads(row["pools"] or "{}")
    named = f" (pools: {', '.join(pools)})" if pools and row["fund_usd"] > 0.005 else ""
    text = ", ".join(words)
    return f"{text[0].upper()}{text[1:]}{named}."


def _past(side: str) -> str:
    return "sold" if side == "sell" else "bought"


def _shown(value: float) -> float:
    """A price rounded to seven significant digits: averages have more than anybody reads."""
    return float(f"{value:.7g}") if value else 0.0
