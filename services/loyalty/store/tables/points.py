"""The points ledger: entries in double entry, lots, and which lots paid which entry."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    text,
)
from sqlmodel import Field

from services.loyalty.store.tables.base import Table, amount, moment, words

_ACCOUNTS = (
    "('available', 'pending', 'held', 'debt', 'issued', 'redeemed', 'expired', 'clawed_back',"
    " 'adjusted', 'transferred', 'written_off')"
)


class PointEntry(Table, table=True):
    """One movement of points from the account it debits to the one it credits; never changed.

    `available`, `pending`, `held` and `debt` are the member's accounts, the rest the programme's.
    A member's balance is credits less debits, `debt` the other way round. Outside, an entry is
    named by its member and number, so it needs no id of its own.
    """

    __tablename__ = "point_entries"
    __table_args__ = (
        PrimaryKeyConstraint("member_id", "seq"),
        CheckConstraint("points > 0", name="entry_moves_points"),
        CheckConstraint("debit_account <> credit_account", name="entry_has_two_sides"),
        CheckConstraint(f"debit_account in {_ACCOUNTS}", name="entry_debit_account"),
        CheckConstraint(f"credit_account in {_ACCOUNTS}", name="entry_credit_account"),
        Index("point_entries_by_cause", "cause_kind", "cause_id"),
    )

    member_id: str = words(primary_key=True)
    #: 1, 2, 3 … per member, without holes.
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    #: earned, released, redeemed, restored, held, captured, clawed_back, repaid, expired …
    kind: str = words()
    debit_account: str = words()
    credit_account: str = words()
    points: int = amount()
    available_after: int = amount()
    pending_after: int = amount()
    held_after: int = amount()
    debt_after: int = amount()
    cause_kind: str = words()
    cause_id: str = words()
    #: A code; what people wrote stands in `entry_reasons`.
    reason: str | None = words(null=True)
    programme_version: int
    occurred_at: datetime = moment()
    recorded_at: datetime = moment()
    actor: str = words()
    #: SHA-256 over the entry before, all of this one and its allocations: a change of any breaks
    #: the chain. The database takes inserts only, see the migration `provable_ledger`.
    previous_hash: bytes | None = Field(default=None, sa_type=LargeBinary)
    hash: bytes = Field(sa_type=LargeBinary)


class PointLot(Table, table=True):
    """Points that were earned together and lapse together."""

    __tablename__ = "point_lots"
    __table_args__ = (
        PrimaryKeyConstraint("member_id", "id"),
        CheckConstraint("points > 0", name="lot_has_points"),
        CheckConstraint("remaining >= 0 and remaining <= points", name="lot_remaining"),
        CheckConstraint("state in ('pending', 'available', 'closed')", name="lot_state"),
        Index(
            "point_lots_spendable",
            "member_id",
            "expires_at",
            "created_at",
            "id",
            postgresql_where=text("state = 'available' and remaining > 0"),
        ),
        Index(
            "point_lots_due",
            "member_id",
            "available_at",
            postgresql_where=text("state = 'pending' and available_at is not null"),
        ),
        Index(
            "point_lots_maturing",
            "available_at",
            postgresql_where=text("state = 'pending' and available_at is not null"),
        ),
        Index(
            "point_lots_expiring",
            "expires_at",
            postgresql_where=text("state = 'available' and remaining > 0"),
        ),
        Index("point_lots_by_cause", "cause_kind", "cause_id"),
        {"postgresql_with": {"fillfactor": 80}},
    )

    id: str = words(primary_key=True)
    member_id: str = words(primary_key=True)
    cause_kind: str = words()
    cause_id: str = words()
    state: str = words()
    #: As earned; what is left of them is `remaining`.
    points: int = amount()
    remaining: int = amount()
    #: When pending points become available; None while that waits for an event.
    available_at: datetime | None = moment(null=True)
    #: When what remains lapses; None while `available_at` is unknown, or never.
    expires_at: datetime | None = moment(null=True)
    programme_version: int
    #: The merge that took it away from here, or gave it back; the row then only stands for what
    #: happened here. None where the lot lives.
    moved_by: str | None = words(null=True)
    created_at: datetime = moment()


class LotAllocation(Table, table=True):
    """How much of a lot an entry took (negative) or gave (positive); never changed."""

    __tablename__ = "lot_allocations"
    __table_args__ = (
        PrimaryKeyConstraint("member_id", "entry_seq", "lot_id"),
        # None to the entry: its check would lock the entry's row (FOR KEY SHARE), which needs the
        # right to update entries, and nobody has that. The entry's hash covers its allocations.
        ForeignKeyConstraint(["member_id", "lot_id"], ["point_lots.member_id", "point_lots.id"]),
        CheckConstraint("points <> 0", name="allocation_moves_points"),
    )

    member_id: str = words(primary_key=True)
    entry_seq: int = Field(primary_key=True, sa_type=BigInteger)
    lot_id: str = words(primary_key=True)
    points: int = amount()


class EntryReason(Table, table=True):
    """Why somebody wanted what entries of a cause did, in their own words.

    Apart from the entries, which are hashed and stay for ever: this goes when the member is erased.
    """

    __tablename__ = "entry_reasons"
    __table_args__ = (
        PrimaryKeyConstraint("cause_kind", "cause_id", "member_id"),
        Index("entry_reasons_by_member", "member_id"),
    )

    cause_kind: str = words(primary_key=True)
    cause_id: str = words(primary_key=True)
    member_id: str = words(primary_key=True)
    reason: str = words()


class Redemption(Table, table=True):
    """Points spent, or held to be spent."""

    __tablename__ = "redemptions"
    __table_args__ = (
        CheckConstraint(
            "state in ('held', 'redeemed', 'released', 'cancelled')", name="redemption_state"
        ),
        CheckConstraint("points > 0", name="redemption_has_points"),
        CheckConstraint(
            "returned_points >= 0 and returned_points <= points", name="redemption_returned"
        ),
        Index(
            "redemptions_one_hold",
            "member_id",
            "purpose",
            "reference",
            unique=True,
            postgresql_where=text("state = 'held'"),
        ),
        Index("redemptions_stale", "hold_expires_at", postgresql_where=text("state = 'held'")),
        Index("redemptions_by_member", "member_id", "created_at"),
    )

    id: str = words(primary_key=True)
    member_id: str = words()
    state: str = words()
    points: int = amount()
    #: How many of them are back in their lots: not captured, released, cancelled or refunded.
    returned_points: int = Field(
        default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0"))
    )
    purpose: str = words()
    reference: str = words()
    hold_expires_at: datetime | None = moment(null=True)
    created_at: datetime = moment()
    closed_at: datetime | None = moment(null=True)
