"""Admission of one order, and bankruptcy prices, from the specification alone.

Source: portfolio-margin.md section 16.17; liquidation-and-losses.md section 3.
"""

import copy
from math import fsum

from tests.oracles.plain_account import Account, Order, read_order
from tests.oracles.plain_margin import account_report

IMMEDIATE = ("ioc", "fok", "market", "optimal_limit_ioc")


def with_order(account: Account, order: Order) -> Account:
    """Return a copy of the account with one more open order."""
    result = copy.copy(account)
    result.orders = [*account.orders, order]
    return result


def fee_in_settle(account: Account, order: Order) -> float:
    """Return the taker fee in the settlement currency (spot: the quote currency)."""
    return account.fee(order) / account.market.usd(order.instrument.settle)


def filled(account: Account, order: Order) -> Account:
    """Return a copy of the account after the whole order filled at its price, fee paid."""
    result = copy.copy(account)
    result.balances = dict(account.balances)
    instrument = order.instrument

    def post(currency: str, amount: float) -> None:
        result.balances[currency] = result.balances.get(currency, 0.0) + amount

    post(instrument.settle, -fee_in_settle(account, order))
    if instrument.kind == "SPOT":
        post(instrument.base, order.contracts)
        post(instrument.quote, -order.contracts * order.price)
        return result
    if instrument.kind == "OPTION":
        post(instrument.base, -order.contracts * instrument.value * order.price)
    result.lots = [*account.lots, (instrument, order.contracts, order.price)]
    return result


def headroom(account: Account) -> float:
    """Return adjEq - totalImr in USD."""
    report = account_report(account)
    return float(report["eq"] - report["totalImr"])


def smallest_equity(account: Account) -> float:
    """Return the smallest adjEq over the four fill sets of all open orders, USD."""
    sets = account.fill_sets(account.orders).values()
    return min(account.adjusted_equity(orders) for orders in sets)


def deepens_debt(account: Account) -> list[str]:
    """Return the currencies whose equity some fill set makes or leaves more negative."""
    found = []
    for currency in account.currencies():
        now = account.equity(currency)
        for orders in account.fill_sets(account.orders).values():
            fees = fsum(
                fee_in_settle(account, o) for o in orders if o.instrument.settle == currency
            )
            after = account.equity(currency, orders) - fees
            if after < min(0.0, now):
                found.append(currency)
                break
    return found


def admit(portfolio: dict, order: dict) -> dict:
    """Return whether an order is accepted, and why.

    `order` is an [[orders]] entry with a `type` ("limit" unless given). The result holds
    `accepted`, `reason` ("equity", "delta", "51008" or "51008 borrow"), the smallest adjusted
    equity over the fill sets, `totalImr` with the order, the two headrooms where rule (b) was
    asked, and the margin report where the order is refused.
    """
    account = Account(portfolio)
    new = read_order(order)
    extended = with_order(account, new)
    report = account_report(extended)
    lowest = smallest_equity(extended)
    result = {
        "accepted": False,
        "reason": "51008",
        "smallestEq": lowest,
        "totalImr": report["totalImr"],
        "report": report,
    }
    if not account.auto_borrow:
        debts = deepens_debt(extended)
        if debts:
            return {**result, "reason": "51008 borrow", "currencies": debts}
    if lowest >= report["totalImr"]:
        return {**result, "accepted": True, "reason": "equity"}
    if order.get("type", "limit") in IMMEDIATE:
        before, after = headroom(account), headroom(filled(account, new))
        result = {**result, "headroomBefore": before, "headroomAfter": after}
        if after >= before:
            return {**result, "accepted": True, "reason": "delta"}
    return result


def bankruptcy_prices(portfolio: dict) -> dict[str, float | None]:
    """Return per position the unrounded bankruptcy price; None where there is none."""
    account = Account(portfolio)
    market = account.market
    raw = [
        account.unit(account.unit_name(i)).raw_mr7(i, contracts) for i, contracts, _ in account.lots
    ]
    total = fsum(raw)
    equity = max(0.0, account.total_equity())
    prices: dict[str, float | None] = {}
    for (instrument, contracts, _), charge in zip(account.lots, raw, strict=True):
        part = equity * charge / total if total > 0.0 else 0.0
        amount = abs(contracts * instrument.value)
        mark, long = market.mark(instrument), contracts > 0.0
        coins = part / market.usd(instrument.base)
        if instrument.inverse:
            inverted = 1.0 / mark + coins / amount if long else 1.0 / mark - coins / amount
            prices[instrument.id] = 1.0 / inverted if inverted > 0.0 else None
        elif instrument.kind == "OPTION":
            step = coins / amount
            prices[instrument.id] = max(0.0, mark - step) if long else mark + step
        else:
            step = part / (amount * market.usd(instrument.quote))
            prices[instrument.id] = mark - step if long else mark + step
    return prices
