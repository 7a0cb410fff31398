"""Days at the exchange that a trader can read: TOML scripts, one sentence per step.

A script names the instruments, the first prices (USDT and USDC are 1 if not named) and what the
venue lends, then the steps:

    [[step]]
    does = "alice buys 1 BTC-USDT-SWAP at 100000"
    fills = ["1 at 100000"]              # of this step, in order
    then = { alice.USDT = "9999.5" }     # exact balances and positions after it
    why = "fee 0.05 % of 1,000"          # the sum by hand; shown when a step fails

A balance is cash less debt; a position (`alice.BTC-USDT-SWAP`) is signed contracts. `refused` and
`cancelled` name the reason that the step must meet; a step without them must meet none. After every
step the books are reconciled, at the end everything is checked.

Sentences (sizes in contracts, spot in coins):
    alice deposits 100 USDT | alice withdraws 100 USDT | alice cancels all
    alice buys 1 X at 100 [post-only | ioc | fok | reduce-only | isolated]
    alice sells 1 X at market | alice buys X for 100 USDT
    alice sells 1 X at 6500 usd | alice buys 1 X at 55 vol
    the market is BTC 100000, USDT 1 | 3600 seconds pass | the time is 2025-03-28T08:00:00Z
    funding with premium 0.06 % on X | interest is charged | alice switches to multi-currency
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from accounts.account import Account, AccountMode
from accounts.expiry import Expiry
from accounts.funding import Funding
from accounts.interest import charge_interest
from accounts.modes import switch
from accounts.order_entry import OptionPrice, OrderEntry
from accounts.reconciliation import discrepancies
from accounts.transfers import withdraw
from exchange.events import Fill, OrderCancelled, OrderRejected, RejectReason
from exchange.order import OrderRequest, OrderType, Side
from exchange.units import from_atoms, to_atoms
from tests.accounts.venue import Venue

SCRIPTS = Path(__file__).parent / "scripts"
NAME, NUMBER, WORD = r"([a-z]+)", r"([0-9.]+)", r"([A-Z0-9-]+)"
TYPES = {
    "": OrderType.LIMIT,
    "post-only": OrderType.POST_ONLY,
    "ioc": OrderType.IOC,
    "fok": OrderType.FOK,
    "reduce-only": OrderType.LIMIT,
    "isolated": OrderType.LIMIT,
}
MODES = {
    "spot": AccountMode.SPOT,
    "spot-and-futures": AccountMode.SPOT_AND_FUTURES,
    "multi-currency": AccountMode.MULTI_CURRENCY,
    "portfolio": AccountMode.PORTFOLIO,
}
TABLES = {"about", "instruments", "start", "usd", "lend", "volatility", "accounts", "step"}
STEP_FIELDS = {"does", "fills", "then", "why", "refused", "cancelled"}


class Script:
    """One script on its own small exchange."""

    def __init__(self, path: Path) -> None:
        self.table = tomllib.loads(path.read_text(encoding="utf-8"))
        unknown = set(self.table) - TABLES
        assert not unknown, f"{path.name}: no such entry: {sorted(unknown)}"
        self.venue = Venue(
            self.table["instruments"],
            {"USDT": "1", "USDC": "1", **self.table["usd"]},
            volatility=self.table.get("volatility", 0.5),
        )
        self.house = self.venue.house
        self.entry = OrderEntry(self.house)
        self.funding = Funding(self.house)
        self.expiry = Expiry(self.house)
        self.refusal: str | None = None
        self._set_time(self.table["start"])
        self.venue.lend(**self.table.get("lend", {}))
        self.accounts: dict[str, Account] = {}
        for name, terms in self.table["accounts"].items():
            self.accounts[name] = self.house.open_account(
                name,
                mode=MODES[terms.get("mode", "portfolio")],
                auto_borrow=terms.get("auto_borrow", True),
            )
            for currency, amount in terms.get("deposit", {}).items():
                self._deposits(name, amount, currency)

    def run(self) -> None:
        """Play all steps; AssertionError with the step's own words where one goes wrong."""
        for number, step in enumerate(self.table["step"], 1):
            unknown = set(step) - STEP_FIELDS
            assert not unknown, f"step {number}: no such field: {sorted(unknown)}"
            before = len(self.venue.events)
            self.refusal = None
            try:
                self._do(step["does"])
                self._compare(step, self.venue.events[before:])
            except AssertionError as error:
                raise AssertionError(
                    f"step {number}: {step['does']}\n{error}\n(why: {step.get('why', '-')})"
                ) from error
        self.venue.check()

    # --- what must be so after a step --------------------------------------------------------

    def _compare(self, step: dict[str, Any], events: list[Any]) -> None:
        fills = [e for e in events if isinstance(e, Fill)]
        seen = [
            f"{fill.instrument.size(fill.size_lots).normalize():f} at "
            f"{fill.instrument.price(fill.price_ticks).normalize():f}"
            for fill in fills
        ]
        assert seen == step.get("fills", []), f"fills: {seen}"
        refused = [e.reason.name for e in events if isinstance(e, OrderRejected)]
        if self.refusal is not None:
            refused.append(self.refusal)
        assert refused == ([step["refused"]] if "refused" in step else []), f"refused: {refused}"
        cancelled = [e.reason.name for e in events if isinstance(e, OrderCancelled)]
        expected = step.get("cancelled", [])
        expected = [expected] if isinstance(expected, str) else expected
        assert cancelled == expected, f"cancelled: {cancelled}"
        wrong = discrepancies(self.house)
        assert not wrong, wrong
        for name, figures in step.get("then", {}).items():
            for what, amount in figures.items():
                found = self.figure(name, what)
                assert found == Decimal(amount), f"{name}.{what}: {found}, not {amount}"

    def figure(self, name: str, what: str) -> Decimal:
        """A balance or a position, exact."""
        account = self.accounts[name]
        listing = self.house.listings.get(what)
        if listing is None:
            return from_atoms(self.venue.cash(account, what), what)
        return listing.instrument.size(self.venue.position(account, what)[0])

    # --- the sentences -----------------------------------------------------------------------

    def _do(self, sentence: str) -> None:
        for pattern, action in self._sentences():
            match = re.fullmatch(pattern, sentence)
            if match is not None:
                self.venue.now_ns += 1
                action(*match.groups())
                return
        raise AssertionError("no such sentence")

    def _sentences(self) -> list[tuple[str, Callable[..., None]]]:
        side = "(buys|sells)"
        kinds = "(?: (post-only|ioc|fok|reduce-only|isolated))?"
        return [
            (f"{NAME} deposits {NUMBER} {WORD}", self._deposits),
            (f"{NAME} withdraws {NUMBER} {WORD}", self._withdraws),
            (f"{NAME} cancels all", self._cancels),
            (f"{NAME} {side} {NUMBER} {WORD} at market", self._market),
            (f"{NAME} {side} {WORD} for {NUMBER} {WORD}", self._amount),
            (f"{NAME} {side} {NUMBER} {WORD} at {NUMBER} (usd|vol)", self._option),
            (f"{NAME} {side} {NUMBER} {WORD} at {NUMBER}{kinds}", self._order),
            (r"the market is (.+)", self._market_is),
            (f"{NUMBER} seconds pass", self._pass),
            (r"the time is (\S+)", self._time_is),
            (rf"funding with premium (-?[0-9.]+) % on {WORD}", self._funding),
            (r"interest is charged", self._interest),
            (f"{NAME} switches to ([a-z-]+)", self._switch),
        ]

    def _deposits(self, name: str, amount: str, currency: str) -> None:
        atoms = to_atoms(amount, currency)
        self.house.deposit(self.venue.now_ns, self.accounts[name], currency, atoms)

    def _withdraws(self, name: str, amount: str, currency: str) -> None:
        atoms = to_atoms(amount, currency)
        reason = withdraw(self.house, self.venue.now_ns, self.accounts[name], currency, atoms)
        if isinstance(reason, RejectReason):
            self.refusal = reason.name

    def _cancels(self, name: str) -> None:
        self.house.cancel_all(self.venue.now_ns, self.accounts[name].number)

    def _request(
        self, side: str, name: str, size: str, order_type: OrderType, price: str | None = None
    ) -> OrderRequest:
        instrument = self.house.listings[name].instrument
        return OrderRequest(
            name,
            Side.BUY if side == "buys" else Side.SELL,
            order_type,
            instrument.size_lots(size),
            None if price is None else instrument.price_ticks(price),
        )

    def _order(
        self, name: str, side: str, size: str, instrument: str, price: str, kind: str | None
    ) -> None:
        request = self._request(side, instrument, size, TYPES[kind or ""], price)
        request.reduce_only, request.isolated = kind == "reduce-only", kind == "isolated"
        self.house.submit(self.venue.now_ns, self.accounts[name].number, request)

    def _market(self, name: str, side: str, size: str, instrument: str) -> None:
        request = self._request(side, instrument, size, OrderType.MARKET)
        self.house.submit(self.venue.now_ns, self.accounts[name].number, request)

    def _amount(self, name: str, side: str, instrument: str, amount: str, quote: str) -> None:
        request = self._request(side, instrument, "1", OrderType.MARKET)
        number, atoms = self.accounts[name].number, to_atoms(amount, quote)
        self.entry.submit_quote_amount(self.venue.now_ns, number, request, atoms)

    def _option(
        self, name: str, side: str, size: str, instrument: str, price: str, form: str
    ) -> None:
        request = self._request(side, instrument, size, OrderType.LIMIT)
        if form == "usd":
            given = OptionPrice(usd=Decimal(price))
        else:
            given = OptionPrice(volatility=float(price) / 100.0)
        number = self.accounts[name].number
        self.entry.submit_option(self.venue.now_ns, number, request, given)

    def _market_is(self, prices: str) -> None:
        pairs = (pair.split() for pair in prices.split(", "))
        self.venue.marks(**dict(pairs))
        self.expiry.check(self.venue.now_ns)

    def _pass(self, seconds: str) -> None:
        self.venue.now_ns += int(Decimal(seconds) * 10**9)
        self._market_is_as_before()

    def _time_is(self, text: str) -> None:
        self._set_time(text)

    def _set_time(self, text: str) -> None:
        self.venue.now_ns = int(datetime.fromisoformat(text).timestamp()) * 10**9
        self._market_is_as_before()

    def _market_is_as_before(self) -> None:
        self.venue.marks()
        self.expiry.check(self.venue.now_ns)

    def _funding(self, percent: str, instrument: str) -> None:
        number = self.house.listings[instrument].number
        for premiums in self.funding.premiums_e8.values():
            premiums.clear()
        self.funding.premiums_e8[number].append(int(Decimal(percent) * 10**6))
        self.funding.settle(self.venue.now_ns)

    def _interest(self) -> None:
        charge_interest(self.venue.now_ns, self.house)

    def _switch(self, name: str, mode: str) -> None:
        check = switch(self.house, self.accounts[name], MODES[mode])
        if not check.passed:
            self.refusal = check.code.name
