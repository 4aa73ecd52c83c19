"""Every table of this service.

Facts (`member_facts`, `order_facts`, `refund_facts`) are kept of all members, since anybody's
enrolment may yet be heard of. Rows of a referral carry the referee as `member_id`: all that a
decision touches belongs to one member.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Index, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from shared.tables import add_technical_tables

_registry = registry()
metadata = _registry.metadata


class Base(SQLModel, registry=_registry):
    """Base of this service's tables, apart from those of other services in the same process."""


def _moment(*, null: bool = False) -> Any:
    return Field(
        default=None if null else ..., sa_column=Column(DateTime(timezone=True), nullable=null)
    )


def _words(*, null: bool = False, primary_key: bool = False) -> Any:
    return Field(
        default=None if null else ...,
        sa_column=Column(Text, nullable=null, primary_key=primary_key),
    )


def _amount(*, null: bool = False) -> Any:
    return Field(default=None if null else ..., sa_column=Column(BigInteger, nullable=null))


class ReferralCode(Base, table=True):
    """A member's code, one for each channel they share it in; the channel is mostly empty."""

    __tablename__ = "referral_codes"
    __table_args__ = (UniqueConstraint("member_id", "channel", name="one_code_per_channel"),)

    code: str = _words(primary_key=True)
    member_id: str = _words()
    channel: str = _words()
    created_at: datetime = _moment()


class ProgrammeVersion(Base, table=True):
    """The terms of the programme as published; never changed."""

    __tablename__ = "programme_versions"
    __table_args__ = (CheckConstraint("version > 0", name="programme_version_positive"),)

    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    rules: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    published_by: str = _words()
    published_at: datetime = _moment()


class MemberFact(Base, table=True):
    """What we have heard of a member. Its row is locked while anything about them is decided."""

    __tablename__ = "member_facts"
    __table_args__ = ({"postgresql_with": {"fillfactor": 80}},)

    member_id: str = _words(primary_key=True)
    #: None until the enrolment itself is heard of.
    enrolled_at: datetime | None = _moment(null=True)
    #: The code as the newcomer gave it.
    code_given: str | None = _words(null=True)
    device_id: str | None = _words(null=True)
    #: Since when the person is gone, and with them the code and the device.
    erased_at: datetime | None = _moment(null=True)
    recorded_at: datetime = _moment()


class OrderFact(Base, table=True):
    """An order. That it was completed may be heard before that it was paid."""

    __tablename__ = "order_facts"
    __table_args__ = (
        CheckConstraint("(paid_fen is null) = (paid_at is null)", name="order_paid_at_once"),
        CheckConstraint("paid_fen >= 0", name="order_paid_not_negative"),
        Index("order_facts_by_member", "member_id"),
    )

    order_id: str = _words(primary_key=True)
    member_id: str = _words()
    paid_fen: int | None = _amount(null=True)
    paid_at: datetime | None = _moment(null=True)
    completed_at: datetime | None = _moment(null=True)
    device_id: str | None = _words(null=True)
    payer_hash: str | None = _words(null=True)
    recorded_at: datetime = _moment()


class RefundFact(Base, table=True):
    """A refund, of an order that may not have been heard of yet."""

    __tablename__ = "refund_facts"
    __table_args__ = (
        CheckConstraint("amount_fen >= 0", name="refund_not_negative"),
        Index("refund_facts_by_member", "member_id"),
    )

    refund_id: str = _words(primary_key=True)
    order_id: str = _words()
    member_id: str = _words()
    amount_fen: int = _amount()
    in_full: bool
    #: None for refunds that an imported history only sums up.
    refunded_at: datetime | None = _moment(null=True)
    recorded_at: datetime = _moment()


class Referral(Base, table=True):
    """A newcomer who gave a code, and what came of it. One per newcomer, for ever."""

    __tablename__ = "referrals"
    __table_args__ = (
        UniqueConstraint("member_id", name="one_referral_per_referee"),
        CheckConstraint(
            "state in ('attributed', 'enrolled', 'qualified', 'completed', 'under_review',"
            " 'rejected', 'reversed')",
            name="referral_state",
        ),
        CheckConstraint(
            "(state = 'rejected') = (refusal is not null)", name="referral_rejected_for_a_reason"
        ),
        CheckConstraint(
            "referrer_id is not null or state = 'rejected'", name="referral_has_a_referrer"
        ),
        CheckConstraint(
            "referrer_id <> member_id or state = 'rejected'", name="nobody_refers_themselves"
        ),
        Index("referrals_by_referrer", "referrer_id", "id"),
        Index("referrals_by_state", "state", "id"),
    )

    id: str = _words(primary_key=True)
    #: The referee.
    member_id: str = _words()
    #: None when nobody has the code.
    referrer_id: str | None = _words(null=True)
    code: str = _words()
    state: str = _words()
    #: Why it was rejected, as a code.
    refusal: str | None = _words(null=True)
    #: Whether the referrer had reached a cap, and gets nothing for this one.
    referrer_capped: bool
    #: The programme under which the referee enrolled.
    programme_version: int
    enrolled_at: datetime = _moment()
    first_order_id: str | None = _words(null=True)
    created_at: datetime = _moment()
    updated_at: datetime = _moment()


class Reward(Base, table=True):
    """One generation of the reward of a stage for one of the two (see domain/rewards.py)."""

    __tablename__ = "rewards"
    __table_args__ = (
        UniqueConstraint("referral_id", "stage", "role", "generation", name="reward_granted_once"),
        CheckConstraint("stage in ('enrolled', 'first_order')", name="reward_stage"),
        CheckConstraint("role in ('referrer', 'referee')", name="reward_role"),
        CheckConstraint(
            "state in ('pending', 'issuing', 'issued', 'reversed')", name="reward_state"
        ),
        CheckConstraint(
            "outcome in ('voided', 'written_off', 'never_issued', 'refused')",
            name="reward_outcome",
        ),
        CheckConstraint("outcome is null or state = 'reversed'", name="reward_outcome_of_reversed"),
        CheckConstraint(
            "voucher_state in ('issued', 'redeemed', 'voided')", name="reward_voucher_state"
        ),
        CheckConstraint(
            "state <> 'issued' or voucher_id is not null", name="reward_issued_is_a_voucher"
        ),
        CheckConstraint(
            "amount_fen > 0 and threshold_fen >= 0 and validity_days > 0 and generation > 0",
            name="reward_amounts",
        ),
        # Whatever else fails, nobody is promised the same twice.
        Index(
            "one_live_reward",
            "referral_id",
            "stage",
            "role",
            unique=True,
            postgresql_where=sql("state <> 'reversed'"),
        ),
    )

    id: str = _words(primary_key=True)
    referral_id: str = _words()
    #: The referee, as in the referral; who gets the reward is the beneficiary.
    member_id: str = _words()
    stage: str = _words()
    role: str = _words()
    generation: int
    beneficiary_id: str = _words()
    amount_fen: int = _amount()
    threshold_fen: int = _amount()
    validity_days: int
    state: str = _words()
    #: What became of it once reversed; None while loyalty has not answered.
    outcome: str | None = _words(null=True)
    #: Why it was reversed, as a code.
    reason: str | None = _words(null=True)
    voucher_id: str | None = _words(null=True)
    voucher_state: str | None = _words(null=True)
    created_at: datetime = _moment()
    updated_at: datetime = _moment()


add_technical_tables(metadata)
