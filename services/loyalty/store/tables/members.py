"""Members, their identities, and the account that holds their balances and tier."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    UniqueConstraint,
    text,
)
from sqlmodel import Field

from services.loyalty.store.tables.base import Table, amount, document, moment, words

#: As PostgreSQL writes it back, so that Alembic sees no difference.
_ACTIVITY_MONTHS = (
    "case when (rules #>> '{points,expiry,policy}'::text[]) = 'activity'::text"
    " then (rules #>> '{points,expiry,months}'::text[])::integer else null::integer end"
)


class Member(Table, table=True):
    """A person in the programme. What identifies them stands in `identities`."""

    __tablename__ = "members"
    __table_args__ = (
        CheckConstraint("state in ('active', 'merged', 'erased')", name="member_state"),
        Index(
            "members_merged_into",
            "merged_into",
            postgresql_where=text("merged_into is not null"),
        ),
    )

    id: str = words(primary_key=True)
    state: str = words()
    nickname: str | None = words(null=True)
    #: `MM-DD`, or `YYYY-MM-DD` when the year is known.
    birthday: str | None = words(null=True)
    gender: str | None = words(null=True)
    city: str | None = words(null=True)
    tags: list[str] = document()
    #: Given consents: purpose or channel → true or false, with the moment of the last change.
    consents: dict[str, Any] = document()
    phone_masked: str | None = words(null=True)
    #: Where a merged member lives on.
    merged_into: str | None = words(null=True, index=True)
    import_id: str | None = words(null=True)
    #: Whether one of the identities was an erased member's: no new customer then.
    previously_erased: bool = Field(
        default=False, sa_column_kwargs={"server_default": text("false")}
    )
    erased_at: datetime | None = moment(null=True)
    created_at: datetime = moment()
    updated_at: datetime = moment()


class Identity(Table, table=True):
    """One way to know a member. The value itself is encrypted; it is found by its keyed hash."""

    __tablename__ = "identities"
    __table_args__ = (
        UniqueConstraint("kind", "app_id", "value_hash", name="identity_of_one_member"),
        CheckConstraint(
            "kind in ('external', 'phone', 'wechat_openid', 'wechat_unionid')",
            name="identity_kind",
        ),
    )

    id: str = words(primary_key=True)
    member_id: str = words(index=True)
    kind: str = words()
    #: The WeChat app an openid belongs to; empty for the other kinds.
    app_id: str = words()
    value_hash: bytes = Field(sa_type=LargeBinary)
    #: None where only the hash was ever known. Of an erased member the row is gone: only the hash
    #: stays, in `erased_identities`.
    value_encrypted: bytes | None = Field(default=None, sa_type=LargeBinary)
    created_at: datetime = moment()


class Account(Table, table=True):
    """A member's balances, growth and tier: the row that every change of points locks."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("available >= 0", name="available_not_negative"),
        CheckConstraint("pending >= 0", name="pending_not_negative"),
        CheckConstraint("held >= 0", name="held_not_negative"),
        CheckConstraint("debt >= 0", name="debt_not_negative"),
        CheckConstraint("growth >= 0", name="growth_not_negative"),
        {"postgresql_with": {"fillfactor": 70}},
    )

    member_id: str = words(primary_key=True)
    available: int = amount(0)
    pending: int = amount(0)
    held: int = amount(0)
    #: Owed after a clawback of points already spent; later earnings repay it.
    debt: int = amount(0)
    #: Growth value in the present window.
    growth: int = amount(0)
    tier_code: str = words()
    #: The tier below which refunds do not push: where the present period began.
    tier_floor: str = words()
    tier_since: datetime = moment()
    tier_valid_until: datetime | None = moment(null=True)
    #: From when on `growth` was counted: the beginning of the window then.
    growth_since: datetime | None = moment(null=True)
    #: Goes up with every change of the row or of what it guards.
    version: int = Field(
        default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")}
    )
    #: Number and hash of the member's last ledger entry.
    entry_seq: int = amount(0)
    entry_hash: bytes | None = Field(default=None, sa_type=LargeBinary)


class GrowthEntry(Table, table=True):
    """Growth gained by one cause, net of refunds; it counts while it is inside the window."""

    __tablename__ = "growth_entries"
    __table_args__ = (
        PrimaryKeyConstraint("member_id", "cause_kind", "cause_id"),
        Index("growth_entries_by_time", "member_id", "occurred_at"),
        CheckConstraint("growth >= 0", name="growth_entry_not_negative"),
    )

    member_id: str = words(primary_key=True)
    cause_kind: str = words(primary_key=True)
    cause_id: str = words(primary_key=True)
    growth: int = amount()
    programme_version: int
    occurred_at: datetime = moment()


class TierChange(Table, table=True):
    """A member's move between tiers, and what caused it."""

    __tablename__ = "tier_changes"

    id: str = words(primary_key=True)
    member_id: str = words(index=True)
    from_tier: str = words()
    to_tier: str = words()
    growth: int = amount()
    cause_kind: str = words()
    cause_id: str = words()
    reason: str | None = words(null=True)
    occurred_at: datetime = moment()


class ProgrammeVersion(Table, table=True):
    """The programme's rules as they stood from `published_at` on. Immutable; entries pin one."""

    __tablename__ = "programme_versions"

    version: int = Field(primary_key=True)
    rules: dict[str, Any] = document()
    #: Months of the activity policy; None under any other. Drawn from the rules by PostgreSQL, so
    #: that a member's lots are loaded with it without opening the rules of each.
    activity_months: int | None = Field(
        default=None, sa_column=Column(Integer, Computed(_ACTIVITY_MONTHS, persisted=True))
    )
    published_by: str = words()
    published_at: datetime = moment()
