"""What must hold of every margin report.  Source: liquidation-and-losses.md section 5."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.contracts import OPTION, SPOT, Contract, MarketSnapshot
from risk.margin import (
    MarginReport,
    OrderInput,
    Portfolio,
    PositionInput,
    fill_order,
    margin_report,
)
from risk.rules import RULE_SETS, load_rules
from tests.risk.samples import contract, market, random_account

RULES = load_rules("okx-2025")
SEEDS = st.integers(0, 10**9)
FEW = settings(max_examples=100)


def _figures(report: MarginReport) -> dict[str, float]:
    names = ("eq", "total_mmr", "total_imr", "borrow_mmr", "deriv_mmr", "upl", "notional_usd")
    figures = {name: float(getattr(report, name)) for name in names}
    for unit in report.risk_units:
        for name in (
            "mmr",
            "imr",
            "delta",
            "gamma",
            "theta",
            "vega",
            *(f"mr{k}" for k in range(1, 10)),
        ):
            figures[f"{unit.risk_unit}.{name}"] = float(getattr(unit, name))
    return figures


def _same(left: dict[str, float], right: dict[str, float], scale: float = 1.0) -> None:
    assert left.keys() == right.keys()
    size = max(map(abs, left.values()), default=0.0)
    for name, value in left.items():
        assert right[name] == pytest.approx(
            scale * value, rel=1e-9, abs=1e-9 * scale + 1e-12 * size
        ), name


@given(SEEDS, st.sampled_from(RULE_SETS))
@FEW
def test_margins_are_ordered_and_finite(seed: int, rules: str) -> None:
    report = margin_report(random_account(seed, rules), load_rules(rules))
    assert 0.0 <= report.total_mmr <= report.total_imr
    for unit in report.risk_units:
        assert 0.0 <= unit.mmr <= unit.imr
        for fill_set in unit.fill_sets:
            assert unit.imr >= 1.3 * fill_set.mmr
        components = (
            unit.mr1,
            unit.mr2,
            unit.mr3,
            unit.mr4,
            unit.mr5,
            unit.mr6,
            unit.mr7,
            unit.mr9,
        )
        assert all(part >= 0.0 for part in components)
        assert unit.mr1 == max(0.0, -min(min(c.values()) for c in unit.mr1_scenarios.values()))
        assert unit.mr1_final.pnl == min(min(c.values()) for c in unit.mr1_scenarios.values())
    json.dumps(report.to_okx_dict(), allow_nan=False)


def test_an_empty_account_has_no_margin() -> None:
    report = margin_report(Portfolio(market({})), RULES)
    assert report.total_mmr == report.total_imr == report.eq == 0.0
    assert report.margin_ratio == math.inf
    assert report.to_okx_dict()["marginRatio"] is None


@given(SEEDS)
@FEW
def test_order_of_entries_does_not_matter(seed: int) -> None:
    account = random_account(seed)
    rng = Random(seed)
    positions, orders = list(account.positions), list(account.orders)
    rng.shuffle(positions)
    rng.shuffle(orders)
    balances = dict(reversed(list(account.balances.items())))
    other = replace(account, positions=tuple(positions), orders=tuple(orders), balances=balances)
    left, right = margin_report(account, RULES), margin_report(other, RULES)
    assert left.to_okx_dict() == right.to_okx_dict()


@given(SEEDS, st.integers(2, 5))
@FEW
def test_splitting_orders_changes_nothing(seed: int, parts: int) -> None:
    account = random_account(seed)
    split = tuple(
        replace(order, size=order.size / parts) for order in account.orders for _ in range(parts)
    )
    left = margin_report(account, RULES)
    right = margin_report(replace(account, orders=split), RULES)
    _same(_figures(left), _figures(right))


@given(SEEDS, st.floats(0.05, 0.95))
@FEW
def test_splitting_a_fill_changes_nothing(seed: int, share: float) -> None:
    account = _small(seed)  # a rounding error must not cross the bound of a tier
    for order in account.orders:
        rest = tuple(other for other in account.orders if other is not order)
        base = replace(account, orders=rest)
        whole = margin_report(fill_order(base, order), RULES)
        first = replace(order, size=order.size * share)
        twice = fill_order(fill_order(base, first), replace(order, size=order.size - first.size))
        left, right = _figures(whole), _figures(margin_report(twice, RULES))
        if left.keys() != right.keys():  # a residue of 1e-17 contracts is a position too
            continue
        # profit moves between cash and open positions with the way that a position was closed
        for figures in (left, right):
            figures.pop("upl")
        _same(left, right)


def _relabelled(account: Portfolio, names: dict[str, str]) -> Portfolio:
    def rename(text: str) -> str:
        return "-".join(names.get(part, part) for part in text.split("-"))

    def moved(old: Contract) -> Contract:
        return replace(
            old,
            instrument_id=rename(old.instrument_id),
            base=rename(old.base),
            quote=rename(old.quote),
            settle=rename(old.settle),
        )

    m = account.market
    snapshot = MarketSnapshot(
        m.time_ns,
        *(
            {rename(k): v for k, v in table.items()}
            for table in (m.usd_index, m.index, m.mark, m.implied_vol, m.forward)
        ),
    )
    return replace(
        account,
        market=snapshot,
        balances={rename(k): v for k, v in account.balances.items()},
        spot_offset={rename(k): v for k, v in account.spot_offset.items()},
        leverage={rename(k): v for k, v in account.leverage.items()},
        positions=tuple(replace(p, contract=moved(p.contract)) for p in account.positions),
        orders=tuple(replace(o, contract=moved(o.contract)) for o in account.orders),
        isolated=tuple(replace(i, contract=moved(i.contract)) for i in account.isolated),
    )


@given(SEEDS)
@FEW
def test_names_of_coins_do_not_matter(seed: int) -> None:
    # a rule set in which the two coins are equals
    rules = RULES.with_currencies({"BTC": RULES.currencies["ETH"].model_dump()})
    names = {"BTC": "ETH", "ETH": "BTC"}
    account = replace(random_account(seed), isolated=())
    left = _figures(margin_report(account, rules))
    right = _figures(margin_report(_relabelled(account, names), rules))
    swapped = {
        ".".join(names.get(part, part) for part in name.split(".")): value
        for name, value in right.items()
    }
    _same(left, swapped)


def _scaled(account: Portfolio, k: float) -> Portfolio:
    """All sizes times k: every USD figure scales where no tier is crossed."""
    return replace(
        account,
        balances={c: k * v for c, v in account.balances.items()},
        positions=tuple(replace(p, size=k * p.size) for p in account.positions),
        orders=tuple(replace(o, size=k * o.size) for o in account.orders),
        spot_offset={c: k * v for c, v in account.spot_offset.items()},
    )


def _small(seed: object) -> Portfolio:
    """A random account so small that no tier is crossed."""
    account = random_account(seed)
    report = margin_report(account, RULES)
    largest = max(
        report.notional_usd,
        # What a position has lost, or an order far from the mark would lose, can be far larger.
        *(abs(asset.eq_usd) for asset in report.assets),
        *map(abs, report.fill_set_equity.values()),
        *(abs(v) * account.market.usd(c) for c, v in account.balances.items()),
        *(abs(o.size) * o.price for o in account.orders),
        1.0,
    )
    return _scaled(account, 1e3 / largest)


@given(SEEDS, st.floats(0.1, 10.0))
@FEW
def test_sizes_scale(seed: int, k: float) -> None:
    account = _small(seed)
    left = _figures(margin_report(account, RULES))
    _same(left, _figures(margin_report(_scaled(account, k), RULES)), k)


def _priced(account: Portfolio, k: float) -> Portfolio:
    """Prices and strikes of all coins, stable money and inverse sizes times k."""
    stable = ("USDT", "USDC", "USD")

    def moved(old: Contract) -> Contract:
        return replace(old, strike=k * old.strike)

    def factor(c: Contract) -> float:
        return 1.0 if c.kind == OPTION else k

    held = [*account.positions, *account.orders]
    options = {h.contract.instrument_id for h in held if h.contract.kind == OPTION}
    m = account.market
    snapshot = replace(
        m,
        usd_index={c: v if c in stable else k * v for c, v in m.usd_index.items()},
        index={p: v if p.split("-")[0] in stable else k * v for p, v in m.index.items()},
        mark={n: v if n in options else k * v for n, v in m.mark.items()},
        forward={n: k * v for n, v in m.forward.items()},
    )
    return replace(
        account,
        market=snapshot,
        balances={c: k * v if c in stable else v for c, v in account.balances.items()},
        positions=tuple(
            PositionInput(
                moved(p.contract),
                p.size * (k if p.contract.inverse else 1.0),
                p.entry_price * factor(p.contract),
            )
            for p in account.positions
        ),
        orders=tuple(
            OrderInput(
                moved(o.contract),
                o.size * (k if o.contract.inverse else 1.0),
                o.price * factor(o.contract),
            )
            for o in account.orders
        ),
    )


@given(SEEDS, st.sampled_from((0.25, 0.5, 2.0, 4.0)))
@FEW
def test_prices_scale(seed: int, k: float) -> None:
    account = _small(seed)
    among_coins = [
        o
        for o in account.orders
        if o.contract.kind == SPOT
        and (o.contract.base in ("USDT", "USDC") or o.contract.quote not in ("USDT", "USDC"))
    ]
    account = replace(account, orders=tuple(o for o in account.orders if o not in among_coins))
    left = _figures(margin_report(account, RULES))
    _same(left, _figures(margin_report(_priced(account, k), RULES)), k)


@given(
    st.lists(
        st.tuples(st.sampled_from(("BTC", "ETH", "SOL")), st.floats(-50.0, 50.0)),
        min_size=1,
        max_size=3,
        unique_by=lambda pair: pair[0],
    )
)
@FEW
def test_linear_contracts_mirror(sizes: list[tuple[str, float]]) -> None:
    prices = market({"BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0})

    def account(sign: float) -> Portfolio:
        positions = tuple(
            PositionInput(contract(f"{coin}-USDT-SWAP"), sign * size, prices.usd(coin))
            for coin, size in sizes
        )
        return Portfolio(prices, {"USDT": 1e6}, positions)

    left, right = margin_report(account(1.0), RULES), margin_report(account(-1.0), RULES)
    assert left.total_mmr == right.total_mmr
    assert left.total_imr == right.total_imr


@given(SEEDS)
@FEW
def test_units_add_up(seed: int) -> None:
    account = random_account(seed)
    whole = {unit.risk_unit: unit for unit in margin_report(account, RULES).risk_units}
    for name, unit in whole.items():
        alone = replace(
            account,
            positions=tuple(p for p in account.positions if p.contract.base == name),
            orders=tuple(o for o in account.orders if o.contract.base == name),
        )
        only = margin_report(alone, RULES).risk_unit(name)
        assert only.mmr == unit.mmr
        assert only.imr == unit.imr


@given(SEEDS, st.floats(0.0, 1e8))
@FEW
def test_adding_usdt_never_worsens_a_positive_ratio(seed: int, added: float) -> None:
    account = random_account(seed)
    before = margin_report(account, RULES)
    if before.eq <= 0.0:
        return
    balances = {**account.balances, "USDT": account.balances.get("USDT", 0.0) + added}
    after = margin_report(replace(account, balances=balances), RULES)
    assert after.margin_ratio >= before.margin_ratio * (1.0 - 1e-12)


@given(SEEDS)
@FEW
def test_long_options_lose_at_most_their_value(seed: int) -> None:
    account = random_account(seed)
    # without marks of their own, options are worth their Black-76 value
    futures = {n: v for n, v in account.market.mark.items() if n.count("-") == 2}
    account = replace(account, market=replace(account.market, mark=futures), isolated=())
    for held in account.positions:
        if held.contract.kind != OPTION:
            continue
        long = PositionInput(held.contract, abs(held.size), held.entry_price)
        lone = replace(account, positions=(long,), orders=(), balances={})
        unit = margin_report(lone, RULES).risk_units[0]
        forward = account.market.forward_price(held.contract)
        amount = long.size * held.contract.coins_per_contract
        value = unit.portfolios[0].mark_px * forward * amount
        assert unit.mr1 <= value * (1.0 + 1e-9) + 1e-9
        assert unit.mr6 <= 0.5 * value * (1.0 + 1e-9) + 1e-9


@given(SEEDS)
@FEW
def test_cancelling_an_order_never_lowers_equity_nor_raises_margin(seed: int) -> None:
    account = random_account(seed)
    before = margin_report(account, RULES)
    for order in account.orders:
        rest = tuple(other for other in account.orders if other is not order)
        after = margin_report(replace(account, orders=rest), RULES)
        assert after.eq >= before.eq
        assert after.total_mmr == pytest.approx(before.total_mmr)


def test_extreme_inputs_stay_finite() -> None:
    """No NaN or infinity at expiry, zero volatility or far strikes."""
    names = ("BTC-USD-250328-100000-C", "BTC-USD-250328-1-P", "BTC-USD-250328-90000000-C")
    contracts = [contract(name) for name in names]
    expiry = contracts[0].expiry_ns
    assert expiry is not None
    for time_ns in (expiry - 10**18, expiry - 1, expiry, expiry + 10**15):
        for vol in (0.0, 1e-12, 0.5, 10.0):
            snapshot = MarketSnapshot(
                time_ns, {"BTC": 1e5, "USDT": 1.0}, implied_vol=dict.fromkeys(names, vol)
            )
            for sign in (1e-9, 1.0, -1e9):
                held = tuple(PositionInput(c, sign, 0.01) for c in contracts)
                report = margin_report(Portfolio(snapshot, {"BTC": 1.0}, held), RULES)
                assert all(math.isfinite(x) for x in _figures(report).values())


def test_bad_accounts_are_refused_by_name() -> None:
    swap, prices = contract("BTC-USDT-SWAP"), market({"BTC": 60_000.0})
    held = PositionInput(swap, 1.0, 60_000.0)
    with pytest.raises(ValueError, match="BTC-USDT-SWAP appears twice"):
        Portfolio(prices, positions=(held, held))
    with pytest.raises(ValueError, match="mode must be one of portfolio, multi_currency"):
        Portfolio(prices, mode="cross")
    with pytest.raises(ValueError, match="entry_price must be positive"):
        Portfolio(prices, positions=(replace(held, entry_price=0.0),))
    with pytest.raises(ValueError, match="size must be finite"):
        Portfolio(prices, positions=(replace(held, size=math.nan),))
    with pytest.raises(ValueError, match=r"balances\.USDT must be finite"):
        Portfolio(prices, {"USDT": math.inf})
    with pytest.raises(ValueError, match="spot is held as a balance"):
        Portfolio(prices, positions=(PositionInput(contract("BTC-USDT"), 1.0, 1.0),))


def test_missing_prices_are_named() -> None:
    swap = PositionInput(contract("BTC-USDT-SWAP"), 1.0, 60_000.0)
    option = PositionInput(contract("BTC-USD-250328-100000-C"), 1.0, 0.01)
    bare = MarketSnapshot(0, {"BTC": 60_000.0, "USDT": 1.0})
    with pytest.raises(ValueError, match=r'market\.mark\."BTC-USDT-SWAP" is missing'):
        margin_report(Portfolio(bare, positions=(swap,)), RULES)
    with pytest.raises(ValueError, match=r'market\.implied_vol\."BTC-USD-250328-100000-C"'):
        margin_report(Portfolio(bare, positions=(option,)), RULES)
    with pytest.raises(ValueError, match=r"market\.usd_index\.SOL is missing"):
        margin_report(Portfolio(bare, {"SOL": 1.0}), RULES)
    with pytest.raises(ValueError, match=r"usd_index\.BTC must be positive"):
        margin_report(Portfolio(MarketSnapshot(0, {"BTC": 0.0}), {"BTC": 1.0}), RULES)
