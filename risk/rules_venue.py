"""The part of a rule set that the venue applies: fees, control, liquidation, losses, funding."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from risk.rules_model import NotNegative, Positive, Rate, RulesModel, Share


class FeeRates(RulesModel):
    """Rates of the notional; a negative maker rate is a rebate."""

    maker: Annotated[float, Field(ge=-0.01, le=0.05)]
    taker: Annotated[float, Field(ge=0.0, le=0.05)]


class FeeRules(RulesModel):
    """Default fees of contracts, and their caps as a share of an option's premium.

    Source: 11.7, 16.14.
    """

    spot: FeeRates
    futures: FeeRates
    option: FeeRates
    option_cap: Rate
    exercise: Rate
    exercise_cap: Rate
    delivery: Rate
    liquidation_borrow: Rate


class TransferRules(RulesModel):
    """How long option value counts when assets leave the account.  Source: 4.3."""

    liquidity_factor: Rate
    small_delta: Rate
    small_delta_factor: Rate
    cap_usd: NotNegative


class AccountRules(RulesModel):
    """Conditions of the account as a whole.  Source: 2.2, 4.3, 16.13."""

    eligibility_usd: NotNegative
    borrow_limit_tier: Annotated[int, Field(ge=1)]
    transfer: TransferRules


class LiquidationRules(RulesModel):
    """Thresholds and sizes of risk control and liquidation; `_s` are seconds.

    Source: 10.2 to 10.5; liquidation-and-losses.md sections 1 and 2.
    """

    warning_ratio: Positive
    warning_interval_s: NotNegative
    order_control: Rate
    start_ratio: Positive
    stop_ratio: Positive
    check_interval_s: NotNegative
    cool_down_s: NotNegative
    max_step_share: Share
    dust_usd: NotNegative
    depth_window: Share
    slippage_growth: Annotated[float, Field(gt=1.0, le=100.0)]
    attempts: Annotated[int, Field(ge=1)]
    stale_mark_s: Positive
    max_steps: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _check(self) -> LiquidationRules:
        if not self.start_ratio < self.stop_ratio:
            raise ValueError(
                f"stop_ratio {self.stop_ratio:g} must be above start_ratio {self.start_ratio:g}"
            )
        if not self.start_ratio <= self.warning_ratio:
            raise ValueError(
                f"warning_ratio {self.warning_ratio:g} must not be below "
                f"start_ratio {self.start_ratio:g}"
            )
        return self


class InsuranceRules(RulesModel):
    """What feeds the pools and how they unwind.  Source: 10.6; liquidation-and-losses.md 3, 4."""

    liquidation_fee_share: Rate
    unwind_depth_share: Share
    unwind_depth_window: Share


class DeleveragingRules(RulesModel):
    """When and how winners are deleveraged.  Source: 10.7; liquidation-and-losses.md 4."""

    policy: Literal["queue", "pro_rata", "capped_pro_rata"]
    drawdown: Share
    peak_hours: Positive
    bankruptcy_price_only: bool
    socialise_losses: bool


class FundingRules(RulesModel):
    """Funding of perpetuals; rates per interval.  Source: 11.3.

    premium: from the average prices at which `impact_notional` (quote currency; inverse contracts:
    USD) would sell and buy, or from the mid.
    """

    formula: Literal["no_rate", "with_rate"]
    interval_hours: Positive
    interest: Annotated[float, Field(ge=-0.01, le=0.01)]
    clamp: Rate
    cap: Rate
    premium: Literal["impact", "mid"]
    impact_notional: Positive


class MarkRules(RulesModel):
    """Averaging windows of marks and settlement prices, seconds.  Source: 11.2, 11.5."""

    basis_window_s: Positive
    basis_sample_s: Positive
    future_basis_window_s: Positive
    delivery_average_s: Positive
    option_settlement_average_s: Positive


class OrderEntryRules(RulesModel):
    """Limits of order entry. `_s` are seconds; batch: orders; quote_reserve, price_gap: shares.

    price_gap: how much worse than the best price a taker may trade; most_matches: makers that one
    taker may meet; 0 switches either off.  Source: 9.1, 9.5, 12.6.
    """

    open_orders: Annotated[int, Field(ge=1)]
    open_orders_per_instrument: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)]
    quote_reserve: Rate
    cancel_after_min_s: Positive
    cancel_after_max_s: Positive
    price_gap: Rate
    most_matches: Annotated[int, Field(ge=0)]
