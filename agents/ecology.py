"""The smallest set of traders that makes a market: calm on a calm day, and able to cascade.

Two presets, measured in ecology.md section 7. `calm` keeps every stylised fact; `crash` needs fewer
messages for runs of many hours. Both leave out the leveraged accounts, which a scenario adds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.index_arbitrageur import IndexArbitrageurParameters
from agents.market_maker import MarketMakerParameters
from agents.metaorder_taker import MetaorderTakerParameters
from agents.momentum_trader import MomentumTraderParameters
from agents.outside_parameters import OutsideParameters
from agents.parameters import AgentParameters
from agents.patient_bidder import PatientBidderParameters

Preset = Literal["calm", "crash"]


@dataclass(frozen=True, slots=True)
class Ecology:
    """Traders of one book and the outside market they were measured with."""

    agents: tuple[AgentParameters, ...]
    outside: OutsideParameters


def ecology(instrument_id: str, preset: Preset = "calm") -> Ecology:
    """Makers, the patient bidder, metaorders, arbitrage and momentum for one book.

    calm: impact of ordinary orders as size^0.3, which gives the metaorder law. crash: a wider
    tolerance of the makers, half as many takers of twice the size. Source: ecology.md section 7.
    """
    makers = MarketMakerParameters(instrument_id=instrument_id)
    takers = MetaorderTakerParameters(instrument_id=instrument_id)
    outside = OutsideParameters(impact_coefficient=4.5e-5 * 22.0, volume_power=0.3)
    if preset == "crash":
        makers = MarketMakerParameters(instrument_id=instrument_id, tolerance=1.0)
        takers = MetaorderTakerParameters(
            instrument_id=instrument_id,
            events_per_second=0.5,
            smallest=2.0 * takers.smallest,
            largest=2.0 * takers.largest,
        )
        outside = OutsideParameters(size_unit=2.0 / 22.0)
    agents = (
        makers,
        PatientBidderParameters(instrument_id=instrument_id),
        takers,
        IndexArbitrageurParameters(instrument_id=instrument_id),
        MomentumTraderParameters(instrument_id=instrument_id),
    )
    return Ecology(agents, outside)
