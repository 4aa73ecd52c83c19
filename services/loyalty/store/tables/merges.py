"""Merges of members with what they moved, and what is remembered of those who were erased."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    UniqueConstraint,
    text,
)
from sqlmodel import Field

from services.loyalty.store.tables.base import Table, amount, document, moment, words


class MemberMerge(Table, table=True):
    """Two members found to be one person: the source goes on as the member."""

    __tablename__ = "member_merges"
    __table_args__ = (
        CheckConstraint("member_id <> source_member_id", name="merge_of_two"),
        CheckConstraint(
            "available >= 0 and pending >= 0 and held >= 0 and debt >= 0 and repaid >= 0",
            name="merge_amounts",
        ),
        UniqueConstraint("member_id", "number", name="merge_numbered"),
        Index(
            "member_merges_once",
            "source_member_id",
            unique=True,
            postgresql_where=text("reversed_at is null"),
        ),
    )

    id: str = words(primary_key=True)
    #: Who goes on.
    member_id: str = words()
    source_member_id: str = words(index=True)
    #: 1, 2, 3 … among the merges into one member: the last is taken back first.
    number: int = amount()
    #: Why, in the operator's words; None once the person is erased.
    reason: str | None = words(null=True)
    #: Points handed over, debt among them, and how much debt was repaid at once.
    available: int = amount()
    pending: int = amount()
    held: int = amount()
    debt: int = amount()
    repaid: int = amount()
    #: Debt that refunds of the moved orders had made by then.
    orders_debt: int = amount()
    #: The standings of both before the merge.
    member_standing: dict[str, Any] = document()
    source_standing: dict[str, Any] = document()
    #: What the profile took over; emptied once the person is erased.
    filled: dict[str, Any] = document()
    merged_by: str = words()
    merged_at: datetime = moment()
    reversed_at: datetime | None = moment(null=True)
    reversed_by: str | None = words(null=True)
    reversal_reason: str | None = words(null=True)
    #: Points that went back, and debt.
    returned_available: int | None = amount(null=True)
    returned_pending: int | None = amount(null=True)
    returned_held: int | None = amount(null=True)
    returned_debt: int | None = amount(null=True)


class MemberMergeMove(Table, table=True):
    """One thing that a merge moved. Lots are not among them: each says itself where it went."""

    __tablename__ = "member_merge_moves"
    __table_args__ = (
        PrimaryKeyConstraint("merge_id", "kind", "thing_id"),
        ForeignKeyConstraint(["merge_id"], ["member_merges.id"]),
    )

    merge_id: str = words(primary_key=True)
    #: Where it came from.
    member_id: str = words(index=True)
    #: identity, order, voucher … as named in store/merges_moves.py.
    kind: str = words(primary_key=True)
    thing_id: str = words(primary_key=True)


class ErasedIdentity(Table, table=True):
    """That somebody with this identity was erased. Not who: nothing leads from here to a member."""

    __tablename__ = "erased_identities"
    __table_args__ = (PrimaryKeyConstraint("kind", "app_id", "value_hash"),)

    kind: str = words(primary_key=True)
    app_id: str = words(primary_key=True)
    value_hash: bytes = Field(primary_key=True, sa_type=LargeBinary)
    #: The business day, no more: a moment would lead to the member erased at it.
    erased_on: str = words()


class KeptReply(Table, table=True):
    """A kept reply that shows a member's profile or what was written about them, so that erasure
    finds it. That of a cancellation which came before its order stands under the order's id.
    """

    __tablename__ = "member_replies"
    __table_args__ = (PrimaryKeyConstraint("member_id", "scope", "key"),)

    member_id: str = words(primary_key=True)
    scope: str = words(primary_key=True)
    key: str = words(primary_key=True)
