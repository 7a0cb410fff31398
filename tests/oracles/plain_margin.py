"""The margin report of a portfolio file: slow, plain, and written from the specification alone.

`margin_report(portfolio)` takes the dictionary of a portfolio file (tomllib's or json's) and
returns the object of `selloff margin --json`. It knows nothing of `risk`.

Source: portfolio-margin.md sections 7, 12.1, 16; portfolio-file.md.
"""

from math import fsum, isfinite

from tests.oracles import plain_tables as tables
from tests.oracles.plain_account import Account, Order
from tests.oracles.plain_market import Instrument, Market, parse


def margin_report(portfolio: dict) -> dict:
    """Return the margin report of a portfolio file."""
    return account_report(Account(portfolio))


def account_report(account: Account) -> dict:
    """Return the margin report of an account."""
    in_units = account.mode == "portfolio"
    units = [_unit_report(account, name) for name in account.unit_names()] if in_units else []
    positions = [] if in_units else multi_currency_positions(account)
    deriv_mmr = fsum(row["mmr"] for row in units + positions)
    deriv_imr = fsum(row["imr"] for row in units) if in_units else multi_currency_imr(account)
    currencies = account.currencies()
    borrow_mmr = fsum(account.borrow_mmr(c) for c in currencies)
    borrow_imr = fsum(account.borrow_imr(c) for c in currencies)
    for row in units:
        row["mr8"] = borrow_mmr
    equity = account.adjusted_equity()
    needed = deriv_mmr + borrow_mmr + account.liquidation_fee()
    upl = fsum(_upl_usd(account.market, i, c, e) for i, c, e in account.lots)
    notional = fsum(account.market.notional_usd(i, c) for i, c, _ in account.lots)
    return {
        "eq": equity,
        "totalMmr": deriv_mmr + borrow_mmr,
        "totalImr": deriv_imr + borrow_imr,
        "borrowMmr": borrow_mmr,
        "derivMmr": deriv_mmr,
        "marginRatio": _ratio(equity, needed),
        "upl": upl,
        "needed": needed,  # the denominator of marginRatio
        "acctLever": _ratio(notional, equity),
        "assets": [_asset_report(account, c) for c in currencies],
        "riskUnitData": units,
        "positions": positions,
    }


def _ratio(above: float, below: float) -> float | None:
    """Return the quotient; None where it is infinite, too large for a float included."""
    quotient = above / below if below != 0.0 else float("inf")
    return quotient if isfinite(quotient) else None


def _upl_usd(market: Market, instrument: Instrument, contracts: float, entry: float) -> float:
    return market.pnl(instrument, contracts, entry) * market.usd(instrument.settle)


def _asset_report(account: Account, currency: str) -> dict:
    use = 0.0
    if account.mode == "portfolio":
        use = fsum(
            account.unit(name).use
            for name in account.unit_names()
            if name.split("-")[0] == currency
        )
    return {
        "ccy": currency,
        "availEq": account.equity(currency),
        "spotInUse": use,
        "borrowMmr": account.borrow_mmr(currency),
        "borrowImr": account.borrow_imr(currency),
    }


def _unit_report(account: Account, name: str) -> dict:
    unit = account.unit(name)
    components = unit.components()
    worst, extreme = unit.worst(), unit.extreme()
    lots = [lot for lot in account.lots if account.unit_name(lot[0]) == name]
    rows = [_position_report(account.market, *lot) for lot in lots]
    return {
        "riskUnit": name,
        "mmr": components["mmr"],
        "imr": account.unit_imr(name),
        "upl": fsum(_upl_usd(account.market, i, c, e) for i, c, e in lots),
        **{f"mr{i}": components[f"mr{i}"] for i in (1, 2, 3, 4, 5, 6, 7, 9)},
        "mr1Scenarios": unit.scenarios(),
        "mr1FinalResult": {**worst, "spotShock": float(worst["spotShock"])},
        "mr6FinalResult": {**extreme, "spotShock": float(extreme["spotShock"])},
        **{
            greek: fsum(row[greek] for row in rows) for greek in ("delta", "gamma", "theta", "vega")
        },
        "portfolios": rows,
    }


def _position_report(
    market: Market, instrument: Instrument, contracts: float, entry: float
) -> dict:
    return {
        "instId": instrument.id,
        "instType": instrument.kind,
        "amt": contracts,
        "posSide": "net",
        "avgPx": entry,
        "markPx": market.mark(instrument),
        "floatPnl": market.pnl(instrument, contracts, entry),
        "notionalUsd": market.notional_usd(instrument, contracts),
        **market.greeks(instrument, contracts),
        "isRealPos": False,
    }


# --- multi-currency mode and isolated positions (16.18, 11.8) ------------------------------------


def tier_margin(
    market: Market, rules: str, instrument: Instrument, contracts: float, leverage: float
) -> tuple[float, float]:
    """Return (mmr, imr) in USD of one position margined by itself."""
    notional = market.notional_usd(instrument, contracts)
    if instrument.kind == "OPTION":
        if contracts >= 0.0:
            return 0.0, 0.0
        mark, forward = market.mark(instrument), market.forward(instrument)
        out = instrument.strike - forward if instrument.call else forward - instrument.strike
        out = max(0.0, out)
        charge = tables.SHORT_OPTION_MMR[instrument.base]
        mmr = (charge if instrument.call else max(charge, charge * mark)) + mark
        imr = max(0.10, 0.15 - out / forward) + mark
        return mmr * notional, imr * notional
    group = tables.group(instrument.base, rules)
    width, tier = tables.POSITION_TIER_USD[group], 1
    while notional > tier * width:
        tier += 1
    mmr = tables.POSITION_MMR[group] + (tier - 1) * tables.POSITION_MMR_STEP[group]
    imr = max(1.0 / leverage, tables.POSITION_IMR_TIMES * mmr)
    return mmr * notional, imr * notional


def _held(account: Account, instrument: Instrument, filled: list[Order]) -> float:
    lots = [contracts for i, contracts, _ in account.lots if i == instrument]
    return fsum(lots + [o.contracts for o in filled if o.instrument == instrument])


def multi_currency_positions(account: Account) -> list[dict]:
    """Return one row per position: its fields and its own margins, USD."""
    rows = []
    for instrument, contracts, entry in account.lots:
        leverage = float(account.leverage.get(instrument.id, tables.DEFAULT_LEVERAGE))
        mmr, imr = tier_margin(account.market, account.rules, instrument, contracts, leverage)
        row = _position_report(account.market, instrument, contracts, entry)
        # leverage has no part in the margin of an option
        lever = 0.0 if instrument.kind == "OPTION" else leverage
        rows.append({**row, "mmr": mmr, "imr": imr, "lever": lever})
    return rows


def multi_currency_imr(account: Account) -> float:
    """Return the initial margin of positions and orders: per instrument, the worst fill set."""
    instruments = {i for i, _, _ in account.lots} | {o.instrument for o in account.orders}
    total = []
    for instrument in instruments:
        if instrument.kind == "SPOT":
            continue
        leverage = float(account.leverage.get(instrument.id, tables.DEFAULT_LEVERAGE))
        total.append(
            max(
                tier_margin(
                    account.market,
                    account.rules,
                    instrument,
                    _held(account, instrument, filled),
                    leverage,
                )[1]
                for filled in account.fill_sets(account.orders).values()
            )
        )
    return fsum(total)


def isolated_margin(portfolio: dict) -> list[dict]:
    """Return per [[isolated]] position its margins (USD), profit (coins), margin ratio."""
    account = Account(portfolio)
    rows = []
    for position in portfolio.get("isolated", []):
        instrument = parse(position["instrument"])
        size, entry = float(position["size"]), float(position["entry_price"])
        leverage = float(account.leverage.get(instrument.id, tables.DEFAULT_LEVERAGE))
        mmr, imr = tier_margin(account.market, account.rules, instrument, size, leverage)
        upl = account.market.pnl(instrument, size, entry)
        usd = account.market.usd(instrument.settle)
        held = (float(position["margin"]) + upl) * usd
        mark = account.market.mark(instrument)
        closing = account.market.fee_usd(instrument, size, mark)
        rows.append(
            {
                "instId": instrument.id,
                "mmr": mmr,
                "imr": imr,
                "upl": upl,
                "marginRatio": held / (mmr + closing) if mmr > 0.0 else None,
            }
        )
    return rows
