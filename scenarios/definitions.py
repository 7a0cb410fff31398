"""What the words of a report mean; shown on hover, and the same in `docs/metrics.md`."""

from __future__ import annotations

DEFINITIONS: dict[str, str] = {
    "account": "A trader's account at the exchange, with one margin for all its positions.",
    "index": "The coin's price outside: what the exchange settles against.",
    "mark": "The price positions are valued at: the index plus the smoothed basis of the book.",
    "last": "The price of the last trade in the book.",
    "adjusted_equity": (
        "What the account is worth after haircuts: cash and profit, with risky collateral counted"
        " below its price."
    ),
    "maintenance_margin": (
        "What the account must be worth for its positions to stay: the largest loss in the margin"
        " model's stress scenarios, and fees."
    ),
    "ratio": (
        "Margin ratio = adjusted equity / maintenance margin. Below 300 % the account is warned, at"
        " 100 % it is liquidated until it stands above 120 %."
    ),
    "warning": "Message to an account whose margin ratio is 300 % or less; one an hour at most.",
    "order_control": (
        "Equity no longer covers the initial margin of positions and orders: orders that would add"
        " margin are cancelled."
    ),
    "liquidation": (
        "The exchange trades for the account, one step at a time, the smallest that helps, by"
        " orders in the ordinary book."
    ),
    "forced": (
        "USD value, at the mark, of what was traded or taken over by force from traders' accounts."
    ),
    "take_over": (
        "The insurance fund takes a position at the price that leaves its owner with nothing, and"
        " sells it later at its own risk."
    ),
    "bankruptcy": "Equity is used up: positions are taken over and debts settled.",
    "bad_debt": "What bankrupt accounts owe beyond all they had: the sum of their deficits, USD.",
    "fund": "Money of the exchange that pays for bad debt before anybody else does.",
    "adl": (
        "Auto-deleveraging: where the fund cannot pay, winning positions on the other side are"
        " closed against the bankrupt one."
    ),
    "uncovered": "The part of losses that nobody has paid.",
    "depth": "USD value of the orders within 1 % of the middle price, per side.",
    "spread": "Distance from best bid to best ask, in basis points (1/100 %) of the middle.",
    "slippage": "How much worse than the mark a forced order traded, in USD.",
    "cascade": (
        "A fall is one account's liquidation. It has a parent if another's forced order moved the"
        " price before it broke."
    ),
    "generation": (
        "How many falls came before in the chain: 0 was broken by the outside price alone."
    ),
    "branching": (
        "Falls that another fall triggered, per fall. Near 1 the cascade feeds itself; at 0 every"
        " fall is the path's own."
    ),
    "stability": (
        "R = forced flow per unit of price move / depth per unit of price move, per minute. Above 1"
        " forced flow alone explains the whole move."
    ),
    "twin": "The same scenario and seed with one thing changed, to see what that thing does.",
}
