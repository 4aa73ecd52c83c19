"""What a checkout is about: a basket, the vouchers owned, what is chosen and what it comes to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.loyalty.domain.vouchers import Period, VoucherState, Worth


@dataclass(frozen=True, kw_only=True)
class BasketLine:
    """One line of a basket; `amount_fen` is for the whole line, before discounts."""

    sku: str
    category: str | None
    quantity: int
    amount_fen: int


@dataclass(frozen=True, kw_only=True)
class OwnedVoucher:
    """A voucher in the member's wallet, as far as a quote must know it."""

    id: str
    state: VoucherState
    worth: Worth
    period: Period
    #: `{"all": true}`, or lists of `categories` and `skus`.
    scope: Mapping[str, object]
    stackable: bool

    def covers(self, line: BasketLine) -> bool:
        """Whether the voucher is for this line."""
        if self.scope.get("all"):
            return True
        categories, skus = self.scope.get("categories"), self.scope.get("skus")
        return _among(line.category, categories) or _among(line.sku, skus)


@dataclass(frozen=True, kw_only=True)
class VoucherVerdict:
    """Whether a voucher counts by itself on the basket; if not, why, and what is missing."""

    id: str
    discount_fen: int = 0
    reasons: tuple[str, ...] = ()
    gap_fen: int = 0

    @property
    def usable(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons


@dataclass(frozen=True, kw_only=True)
class Combination:
    """Vouchers used together, and what they take off."""

    #: What each takes off, by voucher id, in the order of use.
    discounts: tuple[tuple[str, int], ...] = ()

    @property
    def voucher_ids(self) -> tuple[str, ...]:
        """The vouchers, in the order of use."""
        return tuple(voucher_id for voucher_id, _ in self.discounts)

    @property
    def discount_fen(self) -> int:
        """What they take off together."""
        return sum(discount for _, discount in self.discounts)


@dataclass(frozen=True, kw_only=True)
class Basket:
    """What is being bought, by whom and when."""

    lines: tuple[BasketLine, ...]
    #: Whether the member has bought before: new-customer vouchers then no longer count.
    has_ordered: bool
    now: datetime

    @property
    def total_fen(self) -> int:
        """The basket before discounts."""
        return sum(line.amount_fen for line in self.lines)


@dataclass(frozen=True, kw_only=True)
class Quote:
    """The price of a basket with what was chosen."""

    chosen: Combination
    points: int
    points_value_fen: int
    payable_fen: int
    max_points: int
    verdicts: tuple[VoucherVerdict, ...]
    best: Combination


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the member wants to use."""

    voucher_ids: tuple[str, ...] = ()
    points: int = 0


def _among(value: str | None, listed: object) -> bool:
    return value is not None and isinstance(listed, list) and value in listed
