"""A market snapshot after a move of indexes, volatilities or a stablecoin's price.

The moves follow the margin model's own convention: contracts move by the move of their index and
keep their basis; forwards move with the index; option marks keep their distance from the model's
value. Time stands still.

Source: portfolio-margin.md 6.1, 16.1, 16.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from exchange.instrument import STABLECOINS
from risk.black76 import option_value
from risk.contracts import DAYS_PER_YEAR, OPTION, Contract, MarketSnapshot, days_to_expiry
from risk.portfolio import Portfolio

# As the stress cells of the margin model: no mark falls below this share of the index.
_PRICE_FLOOR = 0.01
_OPTION_DASHES = 4  # BASE-USD-yymmdd-STRIKE-C


@dataclass(frozen=True, slots=True)
class MarketMove:
    """What changes at once.

    index: coin -> relative move of its USD index (-0.1 = 10 % down). volatility: relative move of
    all implied volatilities. stablecoin_price: stablecoin -> new USD price.
    """

    index: Mapping[str, float] = field(default_factory=dict)
    volatility: float = 0.0
    stablecoin_price: Mapping[str, float] = field(default_factory=dict)


def coins_of(portfolio: Portfolio) -> list[str]:
    """The coins that a move of all coins moves: those used by the account, without stablecoins."""
    used = dict.fromkeys(sorted(portfolio.balances))
    for contract in contracts_of(portfolio).values():
        used[contract.base] = None
    return [coin for coin in used if coin != "USD" and coin not in STABLECOINS]


def contracts_of(portfolio: Portfolio) -> dict[str, Contract]:
    """Every contract held or ordered, by instrument id."""
    contracts = [position.contract for position in portfolio.positions]
    contracts += [order.contract for order in portfolio.orders]
    contracts += [isolated.contract for isolated in portfolio.isolated]
    return {contract.instrument_id: contract for contract in contracts}


def moved(portfolio: Portfolio, move: MarketMove) -> Portfolio:
    """The account in the market after `move`.  O(prices in the snapshot)."""
    market = portfolio.market
    usd_index = {
        currency: move.stablecoin_price.get(currency, price * (1.0 + move.index.get(currency, 0.0)))
        for currency, price in market.usd_index.items()
    }
    after = replace(
        market,
        usd_index=usd_index,
        index=_moved_indexes(market, usd_index),
        mark={},
        implied_vol={k: v * (1.0 + move.volatility) for k, v in market.implied_vol.items()},
        forward=_moved_forwards(market, usd_index),
    )
    marks = _moved_futures(market, usd_index)
    after = replace(after, mark=marks)
    for name, contract in contracts_of(portfolio).items():
        if contract.kind == OPTION and name in market.mark:
            gap = market.mark[name] - option_model_mark(contract, market)
            marks[name] = max(0.0, option_model_mark(contract, after) + gap)
    return replace(portfolio, market=replace(after, mark=marks))


def _usd_factor(market: MarketSnapshot, usd_index: Mapping[str, float], currency: str) -> float:
    """New over old USD price of a currency; 1 for USD and for currencies without a price."""
    if currency not in usd_index:
        return 1.0
    return usd_index[currency] / market.usd_index[currency]


def _moved_indexes(market: MarketSnapshot, usd_index: Mapping[str, float]) -> dict[str, float]:
    indexes = {}
    for pair, price in market.index.items():
        base, quote = pair.split("-")
        base_factor = _usd_factor(market, usd_index, base)
        indexes[pair] = price * base_factor / _usd_factor(market, usd_index, quote)
    return indexes


def _moved_forwards(market: MarketSnapshot, usd_index: Mapping[str, float]) -> dict[str, float]:
    forwards = {}
    for name, price in market.forward.items():
        base = name.split("-")[0]
        factor = _usd_factor(market, usd_index, base)
        index = market.usd(base)
        forwards[name] = max(price + (factor - 1.0) * index, _PRICE_FLOOR * factor * index)
    return forwards


def _moved_futures(market: MarketSnapshot, usd_index: Mapping[str, float]) -> dict[str, float]:
    """Marks of perpetuals and futures: the basis stays, in terms of the quote's old value."""
    marks = {}
    for name, price in market.mark.items():
        if name.count("-") == _OPTION_DASHES:
            continue
        base, quote = name.split("-")[:2]
        index = market.index_price(base, quote)
        base_factor = _usd_factor(market, usd_index, base)
        shifted = max(price + (base_factor - 1.0) * index, _PRICE_FLOOR * base_factor * index)
        marks[name] = shifted / _usd_factor(market, usd_index, quote)
    return marks


def option_model_mark(contract: Contract, market: MarketSnapshot) -> float:
    """Black-76 value of an option in coin, as the mark where none is given."""
    assert contract.expiry_ns is not None
    forward = market.forward_price(contract)
    years = days_to_expiry(contract.expiry_ns, market.time_ns) / DAYS_PER_YEAR
    sigma = market.volatility(contract)
    return float(option_value(forward, contract.strike, years, sigma, contract.is_call)) / forward
