"""Voucher templates, vouchers, and the rewards they were issued for."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, text
from sqlmodel import Field

from services.loyalty.store.tables.base import Table, amount, document, moment, words

_WORTH = (
    "case kind"
    " when 'gift' then amount_fen is null and percent_off is null"
    " when 'amount_off' then amount_fen is not null and percent_off is null"
    " when 'percent_off' then amount_fen is null and percent_off is not null"
    " else (amount_fen is null) <> (percent_off is null) end"
)
_AMOUNTS = "amount_fen > 0 and percent_off between 1 and 100 and cap_fen > 0 and threshold_fen >= 0"


class VoucherTemplate(Table, table=True):
    """What a kind of voucher is worth and under which conditions."""

    __tablename__ = "voucher_templates"
    __table_args__ = (
        CheckConstraint(
            "kind in ('amount_off', 'percent_off', 'new_customer', 'gift')",
            name="voucher_template_kind",
        ),
        CheckConstraint("state in ('active', 'closed')", name="voucher_template_state"),
        CheckConstraint(
            "issued >= 0 and (stock is null or issued <= stock)", name="never_oversold"
        ),
        CheckConstraint(_WORTH, name="voucher_template_worth"),
        CheckConstraint(_AMOUNTS, name="voucher_template_amounts"),
        CheckConstraint(
            "(validity_days is null) <> (valid_until is null)"
            " and (validity_days is null or valid_from is null)",
            name="voucher_template_validity",
        ),
        CheckConstraint("per_member_limit > 0", name="voucher_template_limit"),
    )

    id: str = words(primary_key=True)
    name: str = words()
    kind: str = words()
    amount_fen: int | None = amount(null=True)
    #: Off the price, in hundredths; 15 is 85折.
    percent_off: int | None = Field(default=None)
    cap_fen: int | None = amount(null=True)
    threshold_fen: int = amount(0)
    #: Which goods: `{"all": true}`, or lists of categories and SKUs.
    scope: dict[str, Any] = document()
    #: Days of validity from issue, or fixed dates.
    validity_days: int | None = Field(default=None)
    valid_from: datetime | None = moment(null=True)
    valid_until: datetime | None = moment(null=True)
    per_member_limit: int | None = Field(default=None)
    stock: int | None = amount(null=True)
    issued: int = amount(0)
    #: Whether it may be used together with others.
    stackable: bool = False
    #: Made by the product itself for referral rewards of one amount and threshold.
    reward_key: str | None = Field(default=None, unique=True, sa_type=Text)
    state: str = words()
    created_by: str = words()
    created_at: datetime = moment()


class Voucher(Table, table=True):
    """One voucher in a member's wallet; redeemed at most once."""

    __tablename__ = "vouchers"
    __table_args__ = (
        CheckConstraint(
            "state in ('issued', 'held', 'redeemed', 'expired', 'voided', 'frozen')",
            name="voucher_state",
        ),
        CheckConstraint(_WORTH, name="voucher_worth"),
        CheckConstraint(_AMOUNTS, name="voucher_amounts"),
        CheckConstraint("valid_from < expires_at", name="voucher_period"),
        CheckConstraint(
            "case when state = 'redeemed' then num_nulls("
            "order_id, order_fen, discount_fen, redeemed_at) = 0 else order_id is null end",
            name="voucher_redeemed_on_an_order",
        ),
        CheckConstraint("discount_fen >= 0 and discount_fen <= order_fen", name="voucher_discount"),
        UniqueConstraint("code", name="voucher_code"),
        #: One voucher per reward, per line of a bulk issue, per claim: whatever is retried.
        UniqueConstraint("source_kind", "source_id", name="voucher_once_per_source"),
        Index("vouchers_by_member", "member_id", "id"),
        Index("vouchers_by_template", "template_id", "member_id"),
        Index("vouchers_expiring", "expires_at", postgresql_where=text("state = 'issued'")),
    )

    id: str = words(primary_key=True)
    code: str = words()
    member_id: str = words()
    template_id: str = words()
    kind: str = words()
    amount_fen: int | None = amount(null=True)
    percent_off: int | None = Field(default=None)
    cap_fen: int | None = amount(null=True)
    threshold_fen: int = amount(0)
    state: str = words()
    source_kind: str = words()
    source_id: str = words()
    #: The reservation that holds it.
    reservation_id: str | None = words(null=True)
    #: The order it was used on, that order's amount, and what it took off there.
    order_id: str | None = words(null=True)
    order_fen: int | None = amount(null=True)
    discount_fen: int | None = amount(null=True)
    #: Why it was voided or frozen, as a code.
    reason: str | None = words(null=True)
    valid_from: datetime = moment()
    expires_at: datetime = moment()
    issued_at: datetime = moment()
    redeemed_at: datetime | None = moment(null=True)
    closed_at: datetime | None = moment(null=True)


class Reward(Table, table=True):
    """What referral asked for, remembered so that a reversal may come before the reward itself."""

    __tablename__ = "rewards"
    __table_args__ = (
        CheckConstraint("state in ('issued', 'refused', 'reversed')", name="reward_state"),
        CheckConstraint(
            "outcome in ('voided', 'written_off', 'never_issued')", name="reward_outcome"
        ),
        CheckConstraint("state <> 'issued' or voucher_id is not null", name="reward_has_a_voucher"),
    )

    reward_id: str = words(primary_key=True)
    referral_id: str = words()
    member_id: str = words(index=True)
    state: str = words()
    voucher_id: str | None = words(null=True)
    #: voided, written_off or never_issued, once reversed; open while a checkout holds the voucher.
    outcome: str | None = words(null=True)
    reason: str | None = words(null=True)
    created_at: datetime = moment()
    reversed_at: datetime | None = moment(null=True)
