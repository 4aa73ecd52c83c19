"""What segmentation is told: orders that were paid, refunds of them, members."""

from dataclasses import dataclass
from datetime import date, datetime

from shared.kernel.clock import business_day


@dataclass(frozen=True, kw_only=True)
class PaidOrder:
    """A paid order. Its id counts once, for ever.

    `refunded_fen` is what an imported history says had gone back without saying when; it counts
    as gone from the start. Later refunds come as facts of their own.
    """

    order_id: str
    member_id: str
    paid_fen: int
    paid_at: datetime
    refunded_fen: int = 0

    @property
    def paid_day(self) -> date:
        """The business day of the payment."""
        return business_day(self.paid_at)


@dataclass(frozen=True, kw_only=True)
class Refund:
    """One refund of an order, in any amount; it may come before its order. Its id counts once."""

    refund_id: str
    order_id: str
    member_id: str
    amount_fen: int
    refunded_at: datetime

    @property
    def refunded_day(self) -> date:
        """The business day on which the money went back."""
        return business_day(self.refunded_at)
