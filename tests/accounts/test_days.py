"""Scripted days that a trader can read: tests/accounts/days/*.toml, every balance by hand.

A step does one thing after another and then says what accounts have: a currency is net cash, an
instrument contracts. `refused` is part of the answer that an action must get: a code, or a word.
All other actions must be accepted. What must always hold is checked after every action.
"""

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from accounts.account import Account, AccountMode
from accounts.expiry import Expiry
from accounts.funding import Funding
from accounts.interest import charge_interest
from accounts.modes import set_auto_borrow, set_leverage, switch
from accounts.transfers import withdraw
from exchange.events import OrderRejected, RejectReason
from exchange.units import from_atoms, to_atoms
from tests.accounts.venue import Venue

DAYS = sorted((Path(__file__).parent / "days").glob("*.toml"))
HOUR_NS = 3600 * 10**9


class Day:
    """One script being played."""

    def __init__(self, script: dict[str, Any]) -> None:
        self.venue = Venue(script["instruments"], volatility=script.get("volatility", 0.5))
        self.house = self.venue.house
        self.venue.lend(**script.get("pools", {}))
        self.accounts = {
            name: self.venue.account(name, **balances)
            for name, balances in script["accounts"].items()
        }
        self.funding, self.expiry = Funding(self.house), Expiry(self.house)

    def play(self, action: dict[str, Any]) -> str:
        """Do one thing; "" if it was done, else why not."""
        kind = next(iter(action))
        answer: str = getattr(self, f"do_{kind}")(action[kind], action)
        return answer

    def do_order(self, who: str, action: dict[str, Any]) -> str:
        events = self.venue.send(
            self.accounts[who], action["instrument"], action["size"], action["price"]
        )
        return _words(events[0].reason) if isinstance(events[0], OrderRejected) else ""

    def do_mark(self, prices: dict[str, str], _: dict[str, Any]) -> str:
        self.venue.now_ns += 10**9
        self.venue.marks(**prices)
        return ""

    def do_funding(self, _: bool, __: dict[str, Any]) -> str:
        self.funding.settle(self.venue.now_ns)
        return ""

    def do_interest(self, _: bool, __: dict[str, Any]) -> str:
        charge_interest(self.venue.now_ns, self.house)
        return ""

    def do_deposit(self, who: str, action: dict[str, Any]) -> str:
        currency = action["currency"]
        atoms = to_atoms(action["amount"], currency)
        self.house.deposit(self.venue.now_ns, self.accounts[who], currency, atoms)
        return ""

    def do_withdraw(self, who: str, action: dict[str, Any]) -> str:
        currency = action["currency"]
        atoms = to_atoms(action["amount"], currency)
        account = self.accounts[who]
        return _words(withdraw(self.house, self.venue.now_ns, account, currency, atoms))

    def do_switch(self, who: str, action: dict[str, Any]) -> str:
        mode = AccountMode[action["mode"].upper()]
        return "; ".join(switch(self.house, self.accounts[who], mode).obstacles)

    def do_leverage(self, who: str, action: dict[str, Any]) -> str:
        listing = self.house.listings[action["instrument"]]
        return _words(set_leverage(self.house, self.accounts[who], listing, action["to"]))

    def do_auto_borrow(self, who: str, action: dict[str, Any]) -> str:
        return set_auto_borrow(self.house, self.accounts[who], action["on"]) or ""

    def do_expiry(self, instrument_id: str, action: dict[str, Any]) -> str:
        """Let the last hour pass at the prices given, each for the same time."""
        expiry_ns = self.house.listings[instrument_id].instrument.expiry_ns
        assert expiry_ns is not None
        prices = action["BTC"]
        for number, price in enumerate([*prices, prices[-1]]):
            self.venue.now_ns = expiry_ns - HOUR_NS + number * (HOUR_NS // len(prices))
            self.venue.marks(BTC=price)
            self.expiry.check(self.venue.now_ns)
        return ""

    def holding(self, account: Account, name: str) -> Decimal:
        """Net cash of a currency, or contracts of an instrument."""
        listing = self.house.listings.get(name)
        if listing is None:
            return from_atoms(self.venue.cash(account, name), name)
        return self.house.position(account, listing).lots * listing.instrument.lot


def _words(reason: RejectReason | None) -> str:
    return "" if reason is None else f"{reason.okx_code} {reason.meaning}"


@pytest.mark.parametrize("path", DAYS, ids=lambda path: path.stem)
def test_a_day(path: Path) -> None:
    script = tomllib.loads(path.read_text())
    day = Day(script)
    for step in script["step"]:
        for action in step["do"]:
            answer = day.play(action)
            refused = action.get("refused", "")
            assert (refused in answer and answer) if refused else not answer, (step["say"], answer)
            day.venue.check()
        for who, holdings in step.get("then", {}).items():
            found = {name: day.holding(day.accounts[who], name) for name in holdings}
            expected = {name: Decimal(amount) for name, amount in holdings.items()}
            assert found == expected, (step["say"], who)


def test_there_is_a_day_for_each_product() -> None:
    assert len(DAYS) == 7
