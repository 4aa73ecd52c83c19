"""Templates: what a kind of voucher is worth, and how many of it may be issued to whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.loyalty.domain.vouchers import Period, Validity, Worth
from shared.kernel.errors import InvalidField, Refusal, RefusalKind

#: So many members are named in one refusal.
_NAMED: Final = 100


class VoucherTemplateClosed(Refusal):
    """Nothing more is issued from this template."""

    code = "voucher_template_closed"


class VoucherTemplateOver(Refusal):
    """The template's fixed dates are past: what it issued now would never count."""

    code = "voucher_template_over"


class VoucherStockExhausted(Refusal):
    """Fewer are left than were asked for; none was issued."""

    code = "voucher_stock_exhausted"


class VoucherLimitReached(Refusal):
    """Some members have as many of this template as one member may have; none was issued."""

    code = "voucher_limit_reached"


class MembersUnknown(Refusal):
    """Some of the members do not exist, or exist no longer; nothing was done for any."""

    code = "members_unknown"
    kind = RefusalKind.invalid


@dataclass(frozen=True, kw_only=True)
class Template:
    """What issuing a voucher has to know of its template."""

    id: str
    name: str
    worth: Worth
    validity: Validity
    per_member_limit: int | None

    def period(self, *, now: datetime) -> Period:
        """When a voucher issued now counts. Raises VoucherTemplateOver when it never would."""
        period = self.validity.period(issued_at=now)
        if period.expires_at <= now:
            raise VoucherTemplateOver
        return period


def check_worth(worth: Worth) -> None:
    """Raise InvalidField unless the kind of voucher says what it takes off, in one way."""
    amount, percent = worth.amount_fen is not None, worth.percent_off is not None
    if worth.kind == "amount_off" and not amount:
        raise InvalidField(pointer="/amount_fen", reason="missing")
    if worth.kind == "percent_off" and not percent:
        raise InvalidField(pointer="/percent_off", reason="missing")
    if worth.kind == "new_customer" and not amount and not percent:
        raise InvalidField(pointer="/amount_fen", reason="amount_or_percent")
    if amount and (percent or worth.kind in ("percent_off", "gift")):
        raise InvalidField(pointer="/amount_fen", reason="not_for_this_kind")
    if percent and worth.kind in ("amount_off", "gift"):
        raise InvalidField(pointer="/percent_off", reason="not_for_this_kind")
    if worth.cap_fen is not None and not percent:
        raise InvalidField(pointer="/cap_fen", reason="not_for_this_kind")


def check_validity(validity: Validity) -> None:
    """Raise InvalidField unless a template says when its vouchers count, in one way."""
    if validity.days is None and validity.valid_until is None:
        raise InvalidField(pointer="/validity_days", reason="days_or_dates")
    if validity.days is not None and validity.valid_until is not None:
        raise InvalidField(pointer="/valid_until", reason="days_or_dates")
    if validity.days is not None and validity.valid_from is not None:
        raise InvalidField(pointer="/valid_from", reason="days_or_dates")
    begins, ends = validity.valid_from, validity.valid_until
    if begins is not None and ends is not None and begins >= ends:
        raise InvalidField(pointer="/valid_until", reason="ends_before_it_begins")


def refuse_unknown(member_ids: Sequence[str], *, known: Mapping[str, str]) -> None:
    """Raise MembersUnknown unless all are known, by id, as active."""
    unknown = [one for one in member_ids if known.get(one) != "active"]
    if unknown:
        raise MembersUnknown(count=len(unknown), members=", ".join(unknown[:_NAMED]))


def refuse_over_limit(template: Template, *, owned: Mapping[str, int]) -> None:
    """Raise VoucherLimitReached when one more would exceed what one member may have."""
    limit = template.per_member_limit
    if limit is None:
        return
    full = [member_id for member_id, count in owned.items() if count >= limit]
    if full:
        raise VoucherLimitReached(limit=limit, count=len(full), members=", ".join(full[:_NAMED]))
