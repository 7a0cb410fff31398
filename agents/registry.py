"""All kinds of agents by their `kind` string, in the order of docs/agents.md."""

from __future__ import annotations

from agents.arbitrageur import ArbitrageurParameters
from agents.backstop import BackstopParameters
from agents.calendar_trader import CalendarTraderParameters
from agents.cash_and_carry import CashAndCarryParameters
from agents.delta_hedger import DeltaHedgerParameters
from agents.dip_buyer import DipBuyerParameters
from agents.fundamental_trader import FundamentalTraderParameters
from agents.index_arbitrageur import IndexArbitrageurParameters
from agents.leveraged_trader import LeveragedTraderParameters
from agents.looper import LooperParameters
from agents.market_maker import MarketMakerParameters
from agents.metaorder_taker import MetaorderTakerParameters
from agents.momentum_trader import MomentumTraderParameters
from agents.noise_trader import NoiseTraderParameters
from agents.option_seller import OptionSellerParameters
from agents.options_market_maker import OptionsMarketMakerParameters
from agents.panic_seller import PanicSellerParameters
from agents.parameters import AgentParameters
from agents.patient_bidder import PatientBidderParameters
from agents.stablecoin_arbitrageur import StablecoinArbitrageurParameters
from agents.stop_loss_trader import StopLossTraderParameters

AGENT_KINDS: dict[str, type[AgentParameters]] = {
    "market_maker": MarketMakerParameters,
    "patient_bidder": PatientBidderParameters,
    "metaorder_taker": MetaorderTakerParameters,
    "noise_trader": NoiseTraderParameters,
    "momentum_trader": MomentumTraderParameters,
    "fundamental_trader": FundamentalTraderParameters,
    "index_arbitrageur": IndexArbitrageurParameters,
    "arbitrageur": ArbitrageurParameters,
    "cash_and_carry": CashAndCarryParameters,
    "calendar_trader": CalendarTraderParameters,
    "stablecoin_arbitrageur": StablecoinArbitrageurParameters,
    "leveraged_trader": LeveragedTraderParameters,
    "looper": LooperParameters,
    "stop_loss_trader": StopLossTraderParameters,
    "panic_seller": PanicSellerParameters,
    "dip_buyer": DipBuyerParameters,
    "backstop": BackstopParameters,
    "options_market_maker": OptionsMarketMakerParameters,
    "option_seller": OptionSellerParameters,
    "delta_hedger": DeltaHedgerParameters,
}
