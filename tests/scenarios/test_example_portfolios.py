"""The claims about portfolio margin that people repeat, on the example portfolios.

The claims on calendar spreads were made in 2021; they are tested under the rules of 2021, and what
the rules of 2025 give is tested beside them.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from risk.margin import Portfolio, margin_report
from risk.portfolio import MULTI_CURRENCY_MODE
from risk.rules import RuleSet, load_rules
from scenarios.portfolio_file import load, load_portfolio
from tests.scenarios.margin_cases import LIBRARY, example

OKX_2021 = load_rules("okx-2021")
OKX_2025 = load_rules("okx-2025")


def initial_margin(portfolio: Portfolio, rules: RuleSet) -> float:
    return margin_report(portfolio, rules).total_imr


def multi_currency(portfolio: Portfolio) -> Portfolio:
    return replace(portfolio, mode=MULTI_CURRENCY_MODE)


def scaled(portfolio: Portfolio, factor: float) -> Portfolio:
    """The same positions, each `factor` times as large."""
    positions = tuple(replace(p, size=p.size * factor) for p in portfolio.positions)
    return replace(portfolio, positions=positions)


def saving(portfolio: Portfolio, rules: RuleSet) -> float:
    """Share of the multi-currency initial margin that portfolio margin does not need."""
    needed = initial_margin(portfolio, rules)
    return 1.0 - needed / initial_margin(multi_currency(portfolio), rules)


def turning_size_usd(rules: RuleSet) -> float:
    """Size of a leg, USD, above which portfolio margin needs less for the calendar spread."""
    spread = load_portfolio(example("calendar-spread-small"))
    low, high = 1.0, 100.0
    assert saving(scaled(spread, low), rules) < 0.0 < saving(scaled(spread, high), rules)
    while high - low > 1e-6:
        middle = 0.5 * (low + high)
        if saving(scaled(spread, middle), rules) < 0.0:
            low = middle
        else:
            high = middle
    contracts = abs(spread.positions[0].size) * high
    return contracts * 0.01 * spread.market.usd_index["BTC"]


def test_every_example_names_rules_that_ship() -> None:
    paths = sorted(LIBRARY.glob("*.toml"))
    assert len(paths) >= 9
    for path in paths:
        assert path.read_text().startswith("# "), "an example says what it shows"
        load_rules(load(path).rules)


def test_small_calendar_spread_needs_more_under_portfolio_margin() -> None:
    spread = load_portfolio(example("calendar-spread-small"))
    assert initial_margin(spread, OKX_2021) == pytest.approx(73_341.4, abs=0.1)
    assert initial_margin(multi_currency(spread), OKX_2021) == pytest.approx(38_400.0)
    assert saving(spread, OKX_2021) == pytest.approx(-0.910, abs=0.001)


def test_large_calendar_spread_needs_over_60_per_cent_less() -> None:
    spread = load_portfolio(example("calendar-spread-large"))
    assert saving(spread, OKX_2021) == pytest.approx(0.690, abs=0.001)


def test_calendar_spread_turns_at_20_million_a_leg() -> None:
    # Multi-currency tiers are 5 million USD wide: its margin jumps at their bounds, here from
    # 6.5 % of a leg (tier 4) to 8 % (tier 5); portfolio margin needs 7.6 %.
    assert turning_size_usd(OKX_2021) == pytest.approx(20e6, rel=1e-6)


def test_under_the_rules_of_2025_even_the_small_spread_needs_less() -> None:
    spread = load_portfolio(example("calendar-spread-small"))
    assert saving(spread, OKX_2025) == pytest.approx(0.70, abs=0.01)
    large = load_portfolio(example("calendar-spread-large"))
    assert saving(large, OKX_2025) == pytest.approx(0.90, abs=0.01)


def test_bear_call_spread_needs_far_less() -> None:
    spread = load_portfolio(example("bear-call-spread"))
    assert saving(spread, OKX_2025) == pytest.approx(0.735, abs=0.001)


def test_puts_ordered_on_calls_need_no_margin() -> None:
    account = load_portfolio(example("calls-and-ordered-puts"))
    assert (account.positions[0].size, account.orders[0].size) == (10_000.0, 5_000.0)
    without = replace(account, orders=())
    assert initial_margin(account, OKX_2025) == initial_margin(without, OKX_2025)


def test_puts_of_another_coin_need_their_full_margin() -> None:
    account = load_portfolio(example("calls-and-ordered-puts-of-another-coin"))
    without = replace(account, orders=())
    alone = replace(account, positions=())
    added = initial_margin(account, OKX_2025) - initial_margin(without, OKX_2025)
    assert added == pytest.approx(initial_margin(alone, OKX_2025), rel=1e-12)
    # 26,921 of the risk unit and 290 of borrowing the premium above the mark.
    assert added == pytest.approx(27_211.15, abs=0.01)


def test_short_call_on_long_calls_needs_little_or_nothing() -> None:
    account = load_portfolio(example("calls-and-ordered-short-call"))
    assert account.orders[0].size < 0.0
    without = replace(account, orders=())
    added = initial_margin(account, OKX_2025) - initial_margin(without, OKX_2025)
    alone = initial_margin(replace(account, positions=()), OKX_2025)
    assert added <= 0.01 * alone
    assert alone > 50_000.0, "the order by itself would need a lot"


def test_spot_that_hedges_a_perpetual_leaves_the_cost_of_closing() -> None:
    account = load_portfolio(example("hedged-spot"))
    report = margin_report(account, OKX_2025)
    (unit,) = report.risk_units
    assert unit.spot_in_use == 10.0
    assert unit.mmr == unit.mr7 == pytest.approx(4_367.21, abs=0.01)
    assert unit.mmr_without_spot == pytest.approx(118_382.07, abs=0.01)
    assert saving(account, OKX_2025) > 0.9


def test_cross_quote_hedge_pays_for_the_peg() -> None:
    account = load_portfolio(example("cross-quote-hedge"))
    (unit,) = margin_report(account, OKX_2025).risk_units
    assert unit.mr9 == pytest.approx(119_941.0, abs=1.0)
    assert unit.mr9 > 0.99 * unit.mmr
