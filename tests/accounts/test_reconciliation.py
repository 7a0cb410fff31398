"""The books of a busy exchange agree, and a wrong entry in any of them is found."""

from collections.abc import Callable

import pytest

from accounts.account import Account
from accounts.reconciliation import discrepancies, reconcile
from accounts.transfers import withdraw
from risk import order_tables as t
from tests.accounts.venue import E8, Venue

SPOT, SWAP, CALL = "BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-250328-100000-C"


def busy() -> tuple[Venue, Account]:
    """Trades in three products, a loan, a withdrawal."""
    venue = Venue((SPOT, SWAP, CALL))
    venue.lend(BTC="10")
    trader = venue.account("trader", USDT="200000", BTC="1")
    other = venue.account("other", USDT="500000", BTC="5")
    venue.trade(trader, other, SWAP, "30", "100000")
    venue.trade(other, trader, SPOT, "1.5", "100000")
    venue.trade(trader, other, CALL, "2", "0.063")
    assert withdraw(venue.house, venue.now_ns, trader, "USDT", 1_000 * E8) is None
    return venue, trader


def test_statements_add_up() -> None:
    venue, _ = busy()
    assert discrepancies(venue.house) == []
    by_name = {statement.currency: statement for statement in reconcile(venue.house)}
    assert by_name["USDT"].custody_atoms == 699_000 * E8
    # 0.5 BTC sold short; premium 2 x 0.01 x 0.063; option fees 0.03 % and 0.02 % of 0.02 BTC
    assert by_name["BTC"].owed_atoms == by_name["BTC"].lent_atoms == 50_000_000 + 126_000 + 600
    assert by_name["BTC"].parts["pool"] == 10 * E8 - 50_126_600
    assert by_name["BTC"].parts["fees"] == 1_000
    assert by_name["USDT"].parts["cost"] == 0  # long and short


def _ledger(venue: Venue, trader: Account) -> None:
    venue.house.ledger.balances[trader.balances["USDT"].cash] += 1


def _debt(venue: Venue, trader: Account) -> None:
    trader.balances["BTC"].liability_atoms -= 1


def _table(venue: Venue, trader: Account) -> None:
    venue.house.exposures.currencies[trader.balances["USDT"].row, t.C_CASH] -= 5


def _lots(venue: Venue, trader: Account) -> None:
    next(p for p in trader.positions.values() if p.lots == 3_000).lots += 1


def _cost(venue: Venue, trader: Account) -> None:
    next(p for p in trader.positions.values() if p.lots == 3_000).cost_atoms += 7


def _interest(venue: Venue, trader: Account) -> None:
    venue.house.listings["BTC-USDT-SWAP"].open_interest_lots -= 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_ledger, ["USDT: the parts exceed the custody by 1", "trader, USDT: the ledger has"]),
        (_debt, ["BTC: accounts owe", "trader, BTC: the ledger has"]),
        (_table, ["trader, USDT: the ledger has"]),
        (
            _lots,
            [
                "trader, BTC-USDT-SWAP: holds 3001",
                "BTC-USDT-SWAP: positions sum to 1 lots",
                "BTC-USDT-SWAP: longs sum to 3001 lots",
            ],
        ),
        (_interest, ["BTC-USDT-SWAP: longs sum to 3000 lots, the open interest is 2999"]),
        (_cost, ["trader, BTC-USDT-SWAP: cost"]),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_wrong_entry_is_found(spoil: Callable[[Venue, Account], None], said: list[str]) -> None:
    venue, trader = busy()
    spoil(venue, trader)
    found = discrepancies(venue.house)
    assert len(found) == len(said)
    for sentence, start in zip(found, said, strict=True):
        assert sentence.startswith(start), found
