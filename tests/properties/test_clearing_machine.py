"""Random days at the clearing house: after every step the books, the ledger and the margin agree.

Source: liquidation-and-losses.md section 5.
"""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from accounts.account import BORROWING_MODES, AccountMode
from accounts.clearing import ClearingHouse
from accounts.expiry import Expiry
from accounts.funding import Funding
from accounts.interest import charge_interest
from accounts.modes import set_leverage, set_spot_cap, switch
from accounts.portfolio import portfolio_of
from accounts.repayment import force_repayments
from accounts.transfers import most_that_may_leave, withdraw
from exchange.instrument import parse_instrument
from exchange.order import OrderRequest, OrderType, Side, StpMode
from risk import order_tables as t
from risk.margin import margin_report
from risk.rules import load_rules
from tests.accounts.venue import E8, NOW_NS, check_house

INSTRUMENTS = (
    "BTC-USDT",
    "ETH-USDT",
    "USDC-USDT",
    "BTC-USDT-SWAP",
    "BTC-USDC-SWAP",
    "BTC-USD-SWAP",
    "ETH-USDT-SWAP",
    "BTC-USDT-250328",
    "BTC-USD-250328",
    "BTC-USD-250328-100000-C",
    "BTC-USD-250328-90000-P",
    "ETH-USD-250627-4000-C",
)
FIRST_USD = {"BTC": 97_000 * E8, "ETH": 3_300 * E8, "USDT": E8, "USDC": E8}
TYPES = (
    OrderType.LIMIT,
    OrderType.LIMIT,
    OrderType.LIMIT,
    OrderType.POST_ONLY,
    OrderType.IOC,
    OrderType.FOK,
    OrderType.MARKET,
    OrderType.OPTIMAL_LIMIT_IOC,
)
MODES = (
    AccountMode.PORTFOLIO,
    AccountMode.PORTFOLIO,
    AccountMode.MULTI_CURRENCY,
    AccountMode.SPOT_AND_FUTURES,
    AccountMode.PORTFOLIO,
)
ACCOUNTS = len(MODES)
LIMIT: dict[str, Any] = {"position_limit_lots": 2**24}  # stress rows are rounded the finer
TOLERANCE = 1e-5


class ClearingMachine(RuleBasedStateMachine):
    """Five accounts of three modes, twelve instruments; the last account has auto-borrow off."""

    house: ClearingHouse

    @initialize()
    def open(self) -> None:
        self.now_ns = NOW_NS
        instruments = [
            parse_instrument(name, **({} if name.count("-") == 1 else LIMIT))
            for name in INSTRUMENTS
        ]
        self.events: list[Any] = []
        self.house = ClearingHouse(instruments, load_rules("okx-2025"), self.events.append)
        self.funding = Funding(self.house)
        self.expiry = Expiry(self.house)
        self.usd = dict(FIRST_USD)
        self.volatility = 0.6
        for currency in ("BTC", "ETH", "USDT", "USDC"):
            self.house.fund_pool(NOW_NS, currency, 200_000 * E8)
        for number in range(ACCOUNTS):
            account = self.house.open_account(
                f"trader/{number}", mode=MODES[number], auto_borrow=number < ACCOUNTS - 1
            )
            self.house.deposit(NOW_NS, account, "USDT", 200_000 * E8)
            if number % 2:
                self.house.deposit(NOW_NS, account, "BTC", 2 * E8)
        self._publish()

    def _publish(self) -> None:
        options = [n for n in INSTRUMENTS if n.count("-") == 4]
        self.house.publish(
            self.now_ns, self.usd, {}, implied_vol=dict.fromkeys(options, self.volatility)
        )

    @rule(
        account=st.integers(0, ACCOUNTS - 1),
        number=st.integers(0, len(INSTRUMENTS) - 1),
        buys=st.booleans(),
        order_type=st.sampled_from(TYPES),
        usd=st.sampled_from((1.0, 100.0, 3_000.0, 50_000.0, 400_000.0, 2_000_000.0)),
        bps=st.integers(-150, 150),
        stp=st.sampled_from(tuple(StpMode)),
    )
    def submit(
        self,
        account: int,
        number: int,
        buys: bool,
        order_type: OrderType,
        usd: float,
        bps: int,
        stp: StpMode,
    ) -> None:
        listing = self.house.by_number[number]
        per_lot = float(self.house.market.terms[number, t.M_USD])
        reference = float(self.house.market.terms[number, t.M_REFERENCE])
        ticks = max(1, round(reference * (1.0 + bps / 1e4)))
        ticks = min(max(ticks, listing.low_ticks), listing.high_ticks)
        ticks = listing.instrument.floor_to_grid(ticks)
        request = OrderRequest(
            listing.instrument.instrument_id,
            Side.BUY if buys else Side.SELL,
            order_type,
            max(1, round(usd / per_lot)),
            None if order_type in (OrderType.MARKET, OrderType.OPTIMAL_LIMIT_IOC) else ticks,
            stp_mode=stp,
        )
        self.now_ns += 1
        events = self.house.submit(self.now_ns, account, request)
        assert events

    @rule(
        maker=st.integers(0, ACCOUNTS - 1),
        step=st.integers(1, ACCOUNTS - 1),
        number=st.integers(0, len(INSTRUMENTS) - 1),
        buys=st.booleans(),
        order_type=st.sampled_from((OrderType.LIMIT, OrderType.IOC)),
        usd=st.sampled_from((50.0, 2_000.0, 30_000.0, 150_000.0, 800_000.0)),
        more=st.sampled_from((0.3, 1.0, 2.5)),
        bps=st.integers(-80, 80),
    )
    def trade(
        self,
        maker: int,
        step: int,
        number: int,
        buys: bool,
        order_type: OrderType,
        usd: float,
        more: float,
        bps: int,
    ) -> None:
        """One account quotes, another takes part of it, all of it, or more."""
        self.submit(maker, number, not buys, OrderType.LIMIT, usd, bps, StpMode.CANCEL_MAKER)
        taker = (maker + step) % ACCOUNTS
        self.submit(taker, number, buys, order_type, usd * more, bps, StpMode.CANCEL_MAKER)

    @rule(
        number=st.integers(0, len(INSTRUMENTS) - 1),
        account=st.integers(0, ACCOUNTS - 1),
        share=st.sampled_from((0.4, 1.0, 1.7)),
    )
    def unwind(self, number: int, account: int, share: float) -> None:
        """Close a position in part, in full, or through zero, against whoever would take it."""
        position = self.house.accounts[account].positions.get(number)
        if position is None or not position.lots:
            return
        usd = share * abs(position.lots) * float(self.house.market.terms[number, t.M_USD])
        short = position.lots < 0
        for other in range(ACCOUNTS):
            if other != account:
                self.submit(other, number, not short, OrderType.LIMIT, usd / 3, 0, StpMode(0))
        self.submit(account, number, short, OrderType.IOC, usd, 0, StpMode(0))

    @rule(account=st.integers(0, ACCOUNTS - 1), choice=st.integers(0, 99))
    def cancel(self, account: int, choice: int) -> None:
        orders = list(self.house.accounts[account].orders)
        if orders:
            self.now_ns += 1
            assert self.house.cancel(self.now_ns, account, orders[choice % len(orders)])

    @rule(
        account=st.integers(0, ACCOUNTS - 1),
        choice=st.integers(0, 99),
        lots=st.integers(-5, 5),
        ticks=st.integers(-30, 30),
    )
    def amend(self, account: int, choice: int, lots: int, ticks: int) -> None:
        orders = list(self.house.accounts[account].orders.values())
        if orders:
            order = orders[choice % len(orders)]
            self.now_ns += 1
            size, price = order.size_lots + lots, order.price_ticks + ticks
            self.house.amend(self.now_ns, account, order.order_id, size, price)

    @rule(account=st.integers(0, ACCOUNTS - 1))
    def cancel_all(self, account: int) -> None:
        self.now_ns += 1
        self.house.cancel_all(self.now_ns, account)
        assert not self.house.accounts[account].orders

    @rule(
        bps=st.integers(-300, 300),
        other=st.integers(-300, 300),
        peg=st.integers(-80, 20),
        vol=st.sampled_from((0.2, 0.6, 1.3)),
    )
    def mark(self, bps: int, other: int, peg: int, vol: float) -> None:
        self.now_ns += 10**9
        self.usd["BTC"] = self.usd["BTC"] * (10_000 + bps) // 10_000
        self.usd["ETH"] = self.usd["ETH"] * (10_000 + other) // 10_000
        self.usd["USDT"] = E8 * (10_000 + peg) // 10_000
        self.volatility = vol
        self._publish()

    @rule()
    def fund(self) -> None:
        self.now_ns += 1
        self.funding.sample()
        self.funding.settle(self.now_ns)

    @precondition(lambda self: self.house.exposures.open_orders() > 3)
    @rule()
    def expire(self) -> None:
        """Jump to the next expiry: contracts are delivered, options exercised."""
        due = [i.instrument.expiry_ns for i in self.house.by_number if not i.state]
        times = [ns for ns in due if ns is not None]
        if times:
            self.now_ns = max(self.now_ns + 1, min(times))
            self._publish()
            for delivery in self.expiry.check(self.now_ns):
                listing = self.house.listings[delivery.instrument_id]
                assert not len(listing.engine.book)
                for account in self.house.accounts:
                    position = account.positions.get(listing.number)
                    assert position is None or not position.lots

    @rule()
    def interest(self) -> None:
        self.now_ns += 1
        charge_interest(self.now_ns, self.house)

    @rule(account=st.integers(0, ACCOUNTS - 1), currency=st.sampled_from(("BTC", "USDT", "USDC")))
    def deposit(self, account: int, currency: str) -> None:
        self.now_ns += 1
        self.house.deposit(self.now_ns, self.house.accounts[account], currency, 12_345_678)

    @rule(
        account=st.integers(0, ACCOUNTS - 1),
        currency=st.sampled_from(("BTC", "USDT", "USDC")),
        share=st.sampled_from((0.1, 0.9, 1.0, 1.1)),
    )
    def transfer_out(self, account: int, currency: str, share: float) -> None:
        """What `most_that_may_leave` names may leave, and leaves the account safe; more may not."""
        holder = self.house.accounts[account]
        most = most_that_may_leave(self.house, holder, currency)
        atoms = round(most * share)
        if atoms > 0:
            self.now_ns += 1
            reason = withdraw(self.house, self.now_ns, holder, currency, atoms)
            assert (reason is None) == (atoms <= most), (reason, atoms, most)
            figures = self.house.exposures.figures(account).tolist()
            if reason is None:
                assert figures[t.T_SMALLEST] >= figures[t.T_IMR]

    @rule(account=st.integers(0, ACCOUNTS - 2), mode=st.sampled_from(tuple(AccountMode)))
    def switch_mode(self, account: int, mode: AccountMode) -> None:
        holder = self.house.accounts[account]
        before = holder.mode, self.house.exposures.figures(account).tolist()
        check = switch(self.house, holder, mode)
        figures = self.house.exposures.figures(account).tolist()
        assert holder.mode == (mode if check.passed else before[0])
        assert check.passed or figures == before[1]
        assert not check.passed or figures[t.T_ADJUSTED] >= figures[t.T_IMR]

    @rule(
        account=st.integers(0, ACCOUNTS - 1),
        number=st.integers(3, len(INSTRUMENTS) - 1),
        leverage=st.sampled_from((1.0, 3.0, 25.0)),
        cap=st.sampled_from((0.0, 0.5, float("inf"))),
    )
    def settings_of_the_user(self, account: int, number: int, leverage: float, cap: float) -> None:
        holder = self.house.accounts[account]
        set_leverage(self.house, holder, self.house.by_number[number], leverage)
        set_spot_cap(self.house, holder, "BTC", cap)

    @rule()
    def repay(self) -> None:
        self.now_ns += 1
        for repayment in force_repayments(self.house, self.now_ns):
            assert 0 <= repayment.filled_lots <= repayment.wanted_lots

    @invariant()
    def exact(self) -> None:
        check_house(self.house)

    @invariant()
    def margin(self) -> None:
        """The tables' figures are those of the unrounded report."""
        for account in self.house.accounts:
            if not account.positions or account.mode not in BORROWING_MODES:
                continue  # the report knows no single-currency mode
            figures = self.house.exposures.figures(account.number).tolist()
            report = margin_report(portfolio_of(self.house, account), self.house.rules)
            scale = 1.0 + report.notional_usd + abs(report.total_equity)
            for column, value in (
                (t.T_ADJUSTED, report.eq),
                (t.T_SMALLEST, report.smallest_equity),
                (t.T_MMR, report.total_mmr),
                (t.T_IMR, report.total_imr),
                (t.T_EQUITY, report.total_equity),
                (t.T_BORROW_MMR, report.borrow_mmr),
                (t.T_FEE, report.liquidation_fee),
            ):
                assert abs(figures[column] - value) <= TOLERANCE * scale, (column, value, figures)


TestClearingMachine = ClearingMachine.TestCase
TestClearingMachine.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow],
)
