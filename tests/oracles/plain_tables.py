"""The parameters of the rule sets, typed in by hand from the specification.

Nothing here is shared with `risk`: two people copying one table is the point of an oracle.
Amounts are coins, USD or fractions as named.

Source: portfolio-margin.md sections 0.3, 3.1, 4.4, 6, 7.3, 11.7, 16.
"""

INFINITY = float("inf")

# --- groups (0.3) -----------------------------------------------------------------------------

K1 = {"BTC", "ETH"}
K2 = {"SOL", "DOGE", "PEPE", "XRP", "BNB", "SHIB", "LTC", "ORDI", "WLD", "BCH", "ADA"}
K2_OLD = {"LTC", "BCH", "EOS", "OKB", "DOT", "BSV", "LINK", "FIL", "ADA", "TRX", "UNI", "XRP"}


def group(coin: str, rules: str) -> int:
    """Return 1, 2 or 3: the asset group of `coin` under the rule set named `rules`."""
    if coin in K1:
        return 1
    return 2 if coin in (K2 if rules == "okx-2025" else K2_OLD) else 3


# --- contracts (3.1, 16.16) -------------------------------------------------------------------

LINEAR_COINS = {
    ("BTC", "USDT"): 0.01,
    ("ETH", "USDT"): 0.1,
    ("SOL", "USDT"): 1.0,
    ("LTC", "USDT"): 1.0,
    ("XRP", "USDT"): 100.0,
    ("DOGE", "USDT"): 1000.0,
    ("ADA", "USDT"): 100.0,
    ("SUI", "USDT"): 1.0,
    ("AVAX", "USDT"): 1.0,
    ("LINK", "USDT"): 1.0,
    ("BNB", "USDT"): 0.01,
    ("DASH", "USDT"): 0.1,
    ("BTC", "USDC"): 0.0001,
    ("ETH", "USDC"): 0.001,
}


def linear_coins(base: str, quote: str) -> float:
    """Return coins per linear contract; USDC contracts that are not listed are as the USDT ones."""
    coins = LINEAR_COINS.get((base, quote))
    if coins is None and quote == "USDC":
        coins = LINEAR_COINS.get((base, "USDT"))
    if coins is None:
        raise ValueError(f"{base}-{quote}: no contract value")
    return coins


INVERSE_USD = {"BTC": 100.0}
INVERSE_USD_OTHERS = 10.0
OPTION_COINS = {"BTC": 0.01, "ETH": 0.1}

# --- fees (11.7, 16.14) -----------------------------------------------------------------------

TAKER_FEE = {"SPOT": 0.0010, "SWAP": 0.0005, "FUTURES": 0.0005, "OPTION": 0.0003}
OPTION_FEE_CAP = 0.125  # of the premium
LIQUIDATION_FEE = 0.001  # 16.15

# --- stress (16.4 to 16.11, 16.19) ------------------------------------------------------------

VOL_DAYS = [0.0, 30.0, 60.0, 90.0]
VOL_POINTS = [0.30, 0.20, 0.15, 0.12]
VOL_PERCENT = [0.30, 0.25, 0.20, 0.15]
VOL_FLOOR = 0.01
PRICE_FLOOR = 0.01  # of usd(base), for shocked marks and forwards
MR3_FACTOR = 0.5
MR5_SHIFT = {1: 0.05, 2: 0.10, 3: 0.10}
MR6_FACTOR = 0.5
MR7_RATE = {1: 0.0045, 2: 0.0070, 3: 0.0100}
MR7_OPTION_RATE = 0.022
IMR_FACTOR = 1.3
MULTIPLIERS = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]
K1_BOUNDS_NEW = [250e3, 500e3, 1e6, 2e6, 3e6, 4e6, INFINITY]
K1_BOUNDS_OLD = [10e3, 70e3, 170e3, 300e3, 470e3, 700e3, INFINITY]


def _scaled(bounds: list[float], factor: float) -> list[tuple[float, float]]:
    return [(bound * factor, times) for bound, times in zip(bounds, MULTIPLIERS, strict=True)]


def _three_groups(bounds: list[float]) -> dict[int, list[tuple[float, float]]]:
    """Return group -> [(upper bound USD, multiplier)]; K2 is K1 x 0.4, K3 is K1 x 0.2."""
    return {1: _scaled(bounds, 1.0), 2: _scaled(bounds, 0.4), 3: _scaled(bounds, 0.2)}


# 6.7: "K2-old 2021: 0-7k x1; 7-16k x2; 16-29k x3; rest unread". The unread rest keeps x3.
_TIERS_2021 = {
    **_three_groups(K1_BOUNDS_OLD),
    2: [(7e3, 1.0), (16e3, 2.0), (29e3, 3.0), (INFINITY, 3.0)],
}

MR9_COLUMNS = [0.99, 0.98, 0.97, 0.96, 0.95, 0.90, 0.85, 0.80]
# per row: upper bound of the tier in USD, factor above 0.99, factors at MR9_COLUMNS (all in %)
MR9_ROWS = [
    (1e6, 0.5, [0.5, 1.0, 2.0, 3.5, 5.0, 15.0, 27.0, 40.0]),
    (5e6, 1.0, [1.5, 2.0, 3.5, 5.0, 7.5, 18.0, 29.0, 40.0]),
    (10e6, 1.5, [2.0, 3.0, 5.0, 7.5, 10.0, 20.0, 30.0, 40.0]),
    (20e6, 2.0, [2.5, 4.0, 7.0, 10.0, 14.0, 23.0, 31.0, 40.0]),
    (60e6, 2.5, [3.5, 6.0, 10.0, 14.0, 18.0, 26.0, 33.0, 40.0]),
    (120e6, 3.0, [5.0, 9.0, 14.0, 18.0, 24.0, 30.0, 35.0, 40.0]),
    (INFINITY, 4.0, [7.0, 12.0, 18.0, 24.0, 30.0, 34.0, 37.0, 40.0]),
]

RULES: dict[str, dict] = {
    "okx-2025": {
        "shocks": {
            1: ["0.04", "0.08", "0.12"],
            2: ["0.06", "0.12", "0.18"],
            3: ["0.08", "0.16", "0.25"],
        },
        "extreme": {1: "0.24", 2: "0.36", 3: "0.5"},
        "mr4": "net_buckets",
        "mr4_floor": {1: 0.002, 2: 0.008, 3: 0.010},
        "mr4_annual": {1: 0.05, 2: 0.15, 3: 0.30},
        "mr7_tiers": _three_groups(K1_BOUNDS_NEW),
        "mr9": True,
        "units": "coin",
        "offset_modes": ["merged"],
    },
    "okx-2024": {
        "shocks": {
            1: ["0.05", "0.1", "0.15"],
            2: ["0.07", "0.14", "0.2"],
            3: ["0.08", "0.16", "0.25"],
        },
        "extreme": {1: "0.3", 2: "0.4", 3: "0.5"},
        "mr4": "hedged",
        "mr4_move": {1: 0.006, 2: 0.008, 3: 0.010},
        "mr4_annual": {1: 0.10, 2: 0.35, 3: 0.40},
        "mr7_tiers": _three_groups(K1_BOUNDS_OLD),
        "mr9": False,
        "units": "quote",
        "offset_modes": ["derivatives_only", "usdt", "usdc", "coin"],
    },
    "okx-2021": {
        "shocks": {
            1: ["0.05", "0.1", "0.15"],
            2: ["0.07", "0.14", "0.2"],
            3: ["0.08", "0.16", "0.25"],
        },
        "extreme": {1: "0.3", 2: "0.3", 3: "0.3"},
        "mr4": "hedged",
        "mr4_move": {1: 0.015, 2: 0.020, 3: 0.025},
        "mr4_annual": {1: 0.30, 2: 0.35, 3: 0.40},
        "mr7_tiers": _TIERS_2021,
        "mr9": False,
        "units": "quote",
        "offset_modes": ["derivatives_only"],
    },
}

# --- discounts and borrowing (4.4, 7.3, 16.13) ------------------------------------------------

# coin -> upper bounds of tiers 1, 2, 3 and the width of each further tier, in coins
TIER_SIZES = {
    "BTC": (20.0, 25.0, 30.0, 20.0),
    "ETH": (300.0, 400.0, 500.0, 300.0),
    "USDT": (1e6, 2e6, 3e6, 1e6),
    "USDC": (1e6, 2e6, 3e6, 1e6),
    # No borrow tiers are named for these three. USD is taken as USDT; the others have the sizes of
    # their discount tiers (4.4) and the pattern's step, the size of tier 1 (7.3).
    "USD": (1e6, 2e6, 3e6, 1e6),
    "UST": (1e6, 2e6, 4e6, 1e6),
    "USDE": (1e6, 2e6, 4e6, 1e6),
    "SOL": (5000.0, 6250.0, 7500.0, 5000.0),
    "XRP": (400e3, 500e3, 600e3, 400e3),
    "LTC": (8000.0, 10000.0, 12000.0, 8000.0),
    "BNB": (1600.0, 2000.0, 2400.0, 1600.0),
    "DOGE": (4e6, 5e6, 6e6, 4e6),
    "ADA": (60e3, 80e3, 100e3, 60e3),
    "SUI": (200e3, 250e3, 300e3, 200e3),
    "AVAX": (20e3, 25e3, 30e3, 20e3),
    "LINK": (40e3, 50e3, 60e3, 40e3),
    "DASH": (2000.0, 2500.0, 3000.0, 2000.0),
}
# coin -> discount rates of tiers 1, 2, 3 and the step down of each further tier
DISCOUNT_RATES = {
    **dict.fromkeys(["BTC", "ETH"], (0.98, 0.975, 0.97, 0.005)),
    **dict.fromkeys(["SOL", "XRP", "BNB", "DOGE", "LTC", "ADA"], (0.95, 0.94, 0.93, 0.02)),
    **dict.fromkeys(["AVAX", "LINK"], (0.90, 0.89, 0.88, 0.02)),
    **dict.fromkeys(["SUI", "DASH"], (0.85, 0.82, 0.79, 0.03)),
}
# currency -> [(upper bound, rate)], where the pattern of the coins does not apply
DISCOUNT_FIXED = {
    "USD": [(INFINITY, 1.0)],
    "USDT": [(INFINITY, 1.0)],
    "USDC": [(1e6, 1.0), (INFINITY, 0.98)],
    "UST": [(1e6, 0.95), (2e6, 0.85), (4e6, 0.5), (INFINITY, 0.0)],
    "USDE": [(1e6, 0.95), (2e6, 0.85), (4e6, 0.5), (INFINITY, 0.0)],
}
K3_BORROWERS = {"SUI", "AVAX", "LINK", "DASH", "UST", "USDE"}


def borrow_tier(currency: str, amount: float) -> int:
    """Return the tier (1, 2, ...) that a loan of `amount` > 0 coins reaches; a bound is below."""
    if currency not in TIER_SIZES:
        raise ValueError(f"{currency}: no borrow tiers")
    first, second, third, step = TIER_SIZES[currency]
    tier, bound = 1, first
    while amount > bound:
        tier += 1
        bound = {2: second, 3: third}.get(tier, third + (tier - 3) * step)
    return tier


def borrow_rates(currency: str, amount: float) -> tuple[float, float]:
    """Return (mmr, imr) of the whole loan of `amount` coins, as fractions of its value."""
    tier = borrow_tier(currency, amount)
    above = max(0, tier - 3)
    if currency in K3_BORROWERS:
        mmr = [0.03, 0.05, 0.06][min(tier, 3) - 1] + above * 0.01
        imr = [0.10, 0.11, 0.12][min(tier, 3) - 1] + above * 0.01
        return mmr, imr
    mmr = [0.02, 0.025, 0.03][min(tier, 3) - 1] + above * (0.005 if currency == "BTC" else 0.01)
    imr = [0.10, 0.125, 0.20][min(tier, 3) - 1] + above * 0.01
    return mmr, imr


def discounted(currency: str, amount: float) -> float:
    """Return D_c: the discounted amount, in coins, of a non-negative `amount` of coins."""
    if currency in DISCOUNT_FIXED:
        tiers = DISCOUNT_FIXED[currency]
        total, lower = 0.0, 0.0
        for upper, rate in tiers:
            total += max(0.0, min(amount, upper) - lower) * rate
            lower = upper
        return total
    if currency not in DISCOUNT_RATES:
        raise ValueError(f"{currency}: no discount tiers")
    first, second, third, step = TIER_SIZES[currency]
    rate1, rate2, rate3, down = DISCOUNT_RATES[currency]
    total = min(amount, first) * rate1
    total += max(0.0, min(amount, second) - first) * rate2
    total += max(0.0, min(amount, third) - second) * rate3
    tier, lower = 4, third
    while amount > lower:
        rate = max(0.0, rate3 - (tier - 3) * down)
        if rate == 0.0:
            break
        total += min(amount - lower, step) * rate
        lower = third + (tier - 3) * step  # the tier's upper bound
        tier += 1
    return total


# --- multi-currency mode (16.18, 11.8) --------------------------------------------------------

POSITION_TIER_USD = {1: 5e6, 2: 1e6, 3: 0.25e6}
POSITION_MMR = {1: 0.004, 2: 0.010, 3: 0.015}
POSITION_MMR_STEP = {1: 0.003, 2: 0.005, 3: 0.005}
POSITION_IMR_TIMES = 2.5
DEFAULT_LEVERAGE = 10.0
SHORT_OPTION_MMR = {"BTC": 0.03, "ETH": 0.05}
