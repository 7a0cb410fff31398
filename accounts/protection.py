"""Market-maker protection: when quotes of an option family fill too fast, all of them go.

Per (account, instrument family): `limit_lots` filled within `window_ns` cancel every protected
order of the family, and new ones are refused for `frozen_ns` (0: until `reset`). Only orders of the
types MMP and MMP_AND_POST_ONLY count; they are for options of portfolio-margin accounts.

Source: portfolio-margin.md sections 2.3, 9.4, 9.5 (38, 39).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from accounts.account import AccountMode
from exchange.events import CancelReason, RejectReason
from exchange.order import OrderType

if TYPE_CHECKING:
    from accounts.account import Account
    from accounts.clearing import ClearingHouse
    from accounts.listing import Listing

MMP_TYPES: Final = frozenset(map(int, (OrderType.MMP, OrderType.MMP_AND_POST_ONLY)))
_UNTIL_RESET: Final = 1 << 62


@dataclass(slots=True)
class FamilyProtection:
    """Settings and state of one account in one instrument family.

    frozen_until_ns: new protected orders are refused before it; 0 = not frozen.
    """

    limit_lots: int
    window_ns: int
    frozen_ns: int
    frozen_until_ns: int = 0
    fills: deque[tuple[int, int]] = field(default_factory=deque)  # (time_ns, lots) in the window
    lots: int = 0


class Protection:
    """The market-maker protection of all accounts of a clearing house."""

    def __init__(self, house: ClearingHouse) -> None:
        self.house = house
        self.families: dict[tuple[int, str], FamilyProtection] = {}
        self._triggered: dict[tuple[int, str], None] = {}

    def configure(
        self, account: Account, family: str, *, limit_lots: int, interval_ms: int, frozen_ms: int
    ) -> None:
        """Set the protection of a family (`BTC-USD`); what was counted or frozen is forgotten.

        interval_ms, frozen_ms: milliseconds, frozen_ms 0 = until `reset`. ValueError for a limit
        or an interval that is not positive, or a negative frozen time.
        """
        for name, value, least in (
            ("limit_lots", limit_lots, 1),
            ("interval_ms", interval_ms, 1),
            ("frozen_ms", frozen_ms, 0),
        ):
            if value < least:
                raise ValueError(f"market-maker protection: {name}: {value} is below {least}")
        self.families[account.number, family] = FamilyProtection(
            limit_lots, interval_ms * 1_000_000, frozen_ms * 1_000_000
        )

    def reset(self, account: Account, family: str) -> None:
        """Thaw a family and forget its fills. KeyError if no protection is set."""
        protection = self.families[account.number, family]
        protection.frozen_until_ns = 0
        protection.fills.clear()
        protection.lots = 0

    def frozen_until(self, account: Account, family: str) -> int:
        """When new protected orders are accepted again; 0 = now."""
        protection = self.families.get((account.number, family))
        return 0 if protection is None else protection.frozen_until_ns

    def refusal(
        self, now_ns: int, account: Account, listing: Listing
    ) -> tuple[RejectReason, str] | None:
        """Why a protected order may not enter; None if it may. O(1)."""
        if account.parent is not None:
            return RejectReason.MMP_CROSS_ONLY, ""
        if account.mode != AccountMode.PORTFOLIO or not listing.is_option:
            return RejectReason.MMP_NOT_OFFERED, ""
        family = listing.instrument.family
        protection = self.families.get((account.number, family))
        if protection is None:
            return RejectReason.MMP_NOT_SET, f"no protection is set for {family}"
        if now_ns < protection.frozen_until_ns:
            until = protection.frozen_until_ns
            left = "until it is reset" if until == _UNTIL_RESET else f"until {until} ns"
            return RejectReason.MMP_FROZEN, f"{family} is frozen {left}"
        return None

    def filled(self, now_ns: int, account: Account, listing: Listing, lots: int) -> None:
        """Count a fill of a protected order; note the family if its limit is reached. O(1)."""
        key = account.number, listing.instrument.family
        protection = self.families.get(key)
        if protection is None:
            return
        fills = protection.fills
        fills.append((now_ns, lots))
        protection.lots += lots
        while fills[0][0] <= now_ns - protection.window_ns:
            protection.lots -= fills.popleft()[1]
        if protection.lots >= protection.limit_lots:
            self._triggered[key] = None

    def cancel_triggered(self, now_ns: int, entering: int = 0) -> None:
        """Freeze the families whose limit was reached, and cancel their protected orders.

        entering: the order whose entry did it; if protected itself, its rest finds the family
        frozen (39), where the quotes that rested are cancelled by the trigger (38).
        """
        triggered, self._triggered = self._triggered, {}
        for key in triggered:
            number, family = key
            protection = self.families[key]
            frozen = protection.frozen_ns
            protection.frozen_until_ns = now_ns + frozen if frozen else _UNTIL_RESET
            protection.fills.clear()
            protection.lots = 0
            for order in list(self.house.accounts[number].orders.values()):
                if order.order_type in MMP_TYPES and order.instrument.family == family:
                    entered = order.order_id == entering
                    reason = CancelReason.MMP_FROZEN if entered else CancelReason.MMP_TRIGGERED
                    self.house.cancel(now_ns, number, order.order_id, reason)
