"""Forced repayment: collateral is sold for what is owed, at the discount tier's penalty.

The penalty of a sale is what the discount had taken off the coins sold (98 % of a bitcoin counted:
2 % of the proceeds), so that selling at the index leaves adjusted equity where it was and lowers
the debt.

Source: liquidation-and-losses.md section 2, stage 4; portfolio-margin.md section 10.5
(liqPenaltyRate).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from accounts.events import LiquidationStage
from accounts.liquidation_sizing import View, Wish, best_first, sized_step, wish
from accounts.liquidation_steps import Step
from risk.kernels import discounted_value

if TYPE_CHECKING:
    from accounts.listing import Listing

E8 = 10**8


def penalty_e8(view: View, currency: str, atoms: int) -> int:
    """Penalty of selling `atoms` off the top of what is held, in 1e-8. Source: 4.4."""
    market = view.house.market
    number = market.currency_number[currency]
    held = view.equity_atoms(currency)
    sold = min(atoms, held)
    if sold <= 0:
        return 0
    scale, tiers = market.scales[number], market.discounts[number]
    with_them = float(discounted_value(tiers, held * scale))
    without = float(discounted_value(tiers, (held - sold) * scale))
    return max(0, round((1.0 - (with_them - without) / (sold * scale)) * E8))


def repayment(view: View) -> Iterable[Step]:
    """Sell a coin for a quote that is owed, buy back a coin that is owed, or both at once."""
    spot = [listing for listing in view.house.by_number if listing.is_spot]
    steps: list[Step] = []
    for listing in spot:
        instrument = listing.instrument
        owned, owed = _sellable(view, instrument.base), -view.equity_atoms(instrument.quote)
        if owned > 0 and owed > 0:
            wished = _sale(view, listing, owned, owed)
            reason = f"selling {instrument.base} repays {instrument.quote}"
            steps += _step(view, instrument.base, (wished,), reason)
        owed = -view.equity_atoms(instrument.base)
        if owed > 0 and view.equity_atoms(instrument.quote) > 0:
            wished = wish(view, listing, 1, -(-owed // listing.base_atoms_per_lot))
            reason = f"buying back {instrument.base} repays it"
            steps += _step(view, instrument.base, (wished,), reason)
    steps += _exchanges(view, spot)
    return best_first(steps)


def _sellable(view: View, currency: str) -> int:
    """Atoms that can be sold without owing them: cash, as far as equity covers it."""
    return min(view.cash_atoms(currency), view.equity_atoms(currency))


def _sale(view: View, listing: Listing, owned: int, owed: int) -> Wish | None:
    """Sell what covers `owed` atoms of the quote at the lowest price allowed, at most `owned`."""
    lots = owned // listing.base_atoms_per_lot
    worst = max(1, listing.low_ticks)
    value = listing.instrument.value_atoms(worst, 1_000_000) / 1_000_000
    lots = min(lots, -int(-owed // max(value, 1e-9)))
    penalty = penalty_e8(view, listing.instrument.base, lots * listing.base_atoms_per_lot)
    return wish(view, listing, -1, lots, penalty)


def _exchanges(view: View, spot: list[Listing]) -> Iterator[Step]:
    """Sell a coin and buy back another one that is owed, over a common quote currency."""
    usd = view.house.market.usd_index_e8
    for sold in spot:
        owned = _sellable(view, sold.instrument.base)
        if owned <= 0:
            continue
        for bought in spot:
            owed = -view.equity_atoms(bought.instrument.base)
            if owed <= 0 or bought.instrument.quote != sold.instrument.quote:
                continue
            per_sold = sold.base_atoms_per_lot * usd[sold.instrument.base]
            per_bought = bought.base_atoms_per_lot * usd[bought.instrument.base]
            per_sold *= view.house.market.atoms[bought.instrument.base]
            per_bought *= view.house.market.atoms[sold.instrument.base]
            most = min(
                (owned // sold.base_atoms_per_lot) * per_sold,
                -(-owed // bought.base_atoms_per_lot) * per_bought,
            )
            lots = most // per_sold
            penalty = penalty_e8(view, sold.instrument.base, lots * sold.base_atoms_per_lot)
            # what the sale leaves after penalty and fees is what the purchase may cost
            rates = (sold.taker_rate, bought.taker_rate)
            kept = E8 - penalty - sum(E8 * rate[0] // rate[1] for rate in rates)
            wishes = (
                wish(view, sold, -1, lots, penalty),
                wish(view, bought, 1, most * kept // (per_bought * E8)),
            )
            yield from _step(
                view,
                sold.instrument.base,
                wishes,
                f"selling {sold.instrument.base} buys back {bought.instrument.base}, which is owed",
            )


def _step(view: View, unit: str, wishes: tuple[Wish | None, ...], reason: str) -> Iterator[Step]:
    chosen = tuple(wished for wished in wishes if wished is not None)
    if len(chosen) == len(wishes):
        yield sized_step(view, LiquidationStage.REPAYMENT, unit, chosen, reason)
