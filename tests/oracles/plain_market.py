"""Instrument ids, prices and the value of one holding, in plain Python.

Source: portfolio-margin.md sections 3.1 to 3.4, 16.1, 16.2, 16.4, 16.16; portfolio-file.md.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from tests.oracles import plain_black76 as black76
from tests.oracles import plain_tables as tables

DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Instrument:
    """One instrument; `value` is coins per contract, or USD per contract of an inverse one."""

    id: str
    kind: str  # SPOT SWAP FUTURES OPTION
    base: str
    quote: str
    settle: str
    inverse: bool
    value: float
    expiry: datetime | None = None
    strike: float = 0.0
    call: bool = False


def _date(text: str) -> datetime:
    """Return 08:00 UTC of a yymmdd date."""
    return datetime.strptime(text, "%y%m%d").replace(hour=8, tzinfo=UTC)


def parse(instrument_id: str) -> Instrument:
    """Return the instrument of an OKX id; ValueError for ids and coins outside the tables."""
    parts = instrument_id.split("-")
    if len(parts) == 2:
        return Instrument(instrument_id, "SPOT", parts[0], parts[1], parts[1], False, 1.0)
    base, quote = parts[:2]
    if len(parts) == 5:
        if base not in tables.OPTION_COINS or quote != "USD" or parts[4] not in ("C", "P"):
            raise ValueError(f"{instrument_id}: no such option")
        coins = tables.OPTION_COINS[base]
        return Instrument(
            instrument_id,
            "OPTION",
            base,
            "USD",
            base,
            False,
            coins,
            _date(parts[2]),
            float(parts[3]),
            parts[4] == "C",
        )
    if len(parts) != 3:
        raise ValueError(f"{instrument_id}: not an instrument id")
    kind = "SWAP" if parts[2] == "SWAP" else "FUTURES"
    expiry = None if kind == "SWAP" else _date(parts[2])
    if quote == "USD":
        usd = tables.INVERSE_USD.get(base, tables.INVERSE_USD_OTHERS)
        return Instrument(instrument_id, kind, base, quote, base, True, usd, expiry)
    coins = tables.linear_coins(base, quote)
    return Instrument(instrument_id, kind, base, quote, quote, False, coins, expiry)


def parse_time(value: object) -> datetime:
    """Return an aware datetime of a TOML datetime or an ISO string; naive means UTC."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Market:
    """The market part of a portfolio file at one moment."""

    def __init__(self, market: dict, now: datetime) -> None:
        self.now = now
        self.usd_index = market["usd_index"]
        self.given_index = market.get("index", {})
        self.given_mark = market.get("mark", {})
        self.given_vol = market.get("implied_vol", {})
        self.given_forward = market.get("forward", {})

    def usd(self, currency: str) -> float:
        """Return the USD index of a currency; 1 for USD itself."""
        if currency == "USD":
            return float(self.usd_index.get("USD", 1.0))
        return float(self.usd_index[currency])

    def index(self, base: str, quote: str) -> float:
        """Return the index of a pair in its quote currency."""
        given = self.given_index.get(f"{base}-{quote}")
        return self.usd(base) / self.usd(quote) if given is None else float(given)

    def days(self, instrument: Instrument) -> float:
        """Return T in days, not below zero: what has expired has no time left."""
        assert instrument.expiry is not None
        left = (instrument.expiry - self.now).total_seconds() / DAY_SECONDS
        return max(0.0, left)

    def years(self, instrument: Instrument) -> float:
        """Return T in years of 365 days."""
        return self.days(instrument) / black76.YEAR_DAYS

    def forward(self, option: Instrument) -> float:
        """Return F: the given forward, else the coin-margined future's mark, else the index."""
        underlying = "-".join(option.id.split("-")[:3])
        if underlying in self.given_forward:
            return float(self.given_forward[underlying])
        if underlying in self.given_mark:
            return float(self.given_mark[underlying])
        return self.usd(option.base)

    def vol(self, option: Instrument) -> float:
        """Return the option's implied volatility, a fraction a year."""
        return float(self.given_vol[option.id])

    def option_value(self, option: Instrument, days_later: float = 0.0) -> float:
        """Return B76 in USD per coin, now or when `days_later` days have passed."""
        years = (self.days(option) - days_later) / black76.YEAR_DAYS
        return black76.price(
            self.forward(option), option.strike, years, self.vol(option), option.call
        )

    def mark(self, instrument: Instrument) -> float:
        """Return the mark price: quote currency, coin for an option, the index for spot."""
        if instrument.kind == "SPOT":
            return self.index(instrument.base, instrument.quote)
        if instrument.kind == "OPTION" and instrument.id not in self.given_mark:
            return self.option_value(instrument) / self.forward(instrument)
        return float(self.given_mark[instrument.id])

    def pnl(self, instrument: Instrument, contracts: float, entry: float) -> float:
        """Return the profit against mark, in the settlement currency."""
        amount = contracts * instrument.value
        if instrument.inverse:
            return amount * (1.0 / entry - 1.0 / self.mark(instrument))
        return amount * (self.mark(instrument) - entry)

    def notional_usd(self, instrument: Instrument, contracts: float) -> float:
        """Return the unsigned USD notional: index value of the coins, face of an inverse."""
        amount = abs(contracts * instrument.value)
        return amount if instrument.inverse else amount * self.usd(instrument.base)

    def fee_usd(self, instrument: Instrument, contracts: float, price: float) -> float:
        """Return the taker fee in USD of an order filled at `price`."""
        fee = tables.TAKER_FEE[instrument.kind] * self.notional_usd(instrument, contracts)
        if instrument.kind == "OPTION":
            premium = price * self.notional_usd(instrument, contracts)
            return min(fee, tables.OPTION_FEE_CAP * premium)
        return fee

    def usd_delta(self, instrument: Instrument, contracts: float) -> float:
        """Return the USD delta of a derivative position (16.2)."""
        amount = contracts * instrument.value
        if instrument.inverse:
            return amount * self.usd(instrument.base) / self.mark(instrument)
        if instrument.kind == "OPTION":
            forward = self.forward(instrument)
            per_coin = black76.delta(
                forward,
                instrument.strike,
                self.years(instrument),
                self.vol(instrument),
                instrument.call,
            )
            return amount * per_coin * forward
        return amount * self.mark(instrument) * self.usd(instrument.quote)

    def greeks(self, instrument: Instrument, contracts: float) -> dict[str, float]:
        """Return the cash greeks of a position, USD (16.16)."""
        result = {
            "delta": self.usd_delta(instrument, contracts),
            "gamma": 0.0,
            "theta": 0.0,
            "vega": 0.0,
        }
        if instrument.kind == "OPTION":
            amount = contracts * instrument.value
            forward, years = self.forward(instrument), self.years(instrument)
            sigma, strike = self.vol(instrument), instrument.strike
            result["gamma"] = (
                amount * black76.gamma(forward, strike, years, sigma) * forward**2 * 0.01
            )
            result["theta"] = amount * (
                self.option_value(instrument, 1.0) - self.option_value(instrument)
            )
            result["vega"] = amount * black76.vega(forward, strike, years, sigma) * 0.01
        return result

    def shock_pnl(
        self, instrument: Instrument, contracts: float, shock: float, sigma: float | None
    ) -> float:
        """Return the USD profit of a move by `shock`, an option's volatility going to `sigma`."""
        amount = contracts * instrument.value
        usd = self.usd(instrument.base)
        floor = tables.PRICE_FLOOR * usd
        if instrument.inverse:
            mark = self.mark(instrument)
            shocked = max(floor, mark + shock * usd)
            return amount * (1.0 / mark - 1.0 / shocked) * usd * (1.0 + shock)
        if instrument.kind == "OPTION":
            assert sigma is not None
            forward = max(floor, self.forward(instrument) + shock * usd)
            moved = black76.price(
                forward, instrument.strike, self.years(instrument), sigma, instrument.call
            )
            return amount * (moved - self.option_value(instrument))
        index = self.index(instrument.base, instrument.quote)
        return amount * index * shock * self.usd(instrument.quote)
