"""Imports of history in bulk: how far each upload has come, its refused lines, what it posted."""

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    UniqueConstraint,
    text,
)
from sqlmodel import Field

from services.loyalty.store.tables.base import Table, amount, moment, words


class Import(Table, table=True):
    """An upload of order history or of points, and how far it has come."""

    __tablename__ = "imports"
    __table_args__ = (
        CheckConstraint("kind in ('orders', 'points')", name="import_kind"),
        CheckConstraint("state in ('receiving', 'done', 'failed')", name="import_state"),
        CheckConstraint("(state = 'receiving') = (finished_at is null)", name="import_finished"),
        CheckConstraint("(state = 'failed') = (error is not null)", name="import_error"),
        #: The caller's Idempotency-Key names the import.
        UniqueConstraint("actor", "kind", "key", name="import_of_one_key"),
        Index("imports_open", "touched_at", postgresql_where=text("state = 'receiving'")),
    )

    id: str = words(primary_key=True)
    kind: str = words()
    key: str = words()
    state: str = words()
    media_type: str = words()
    #: Whether its orders earn points and growth.
    earn: bool
    #: Whether whoever is unknown is enrolled.
    enrol: bool
    #: Counts uploads under this key: only the newest may write.
    attempt: int = Field(default=1)
    lines: int = amount(0)
    #: Lines that counted: orders, or movements of points.
    taken: int = amount(0)
    #: Lines whose order or movement was there already, with the same facts.
    repeated: int = amount(0)
    refused: int = amount(0)
    members: int = amount(0)
    #: Why it failed, as a code.
    error: str | None = words(null=True)
    #: SHA-256 of the file, once read to its end: the same key with another file is refused.
    body_hash: bytes | None = Field(default=None, sa_type=LargeBinary)
    actor: str = words()
    created_at: datetime = moment()
    #: When the upload was last heard of.
    touched_at: datetime = moment()
    finished_at: datetime | None = moment(null=True)


class ImportRefusal(Table, table=True):
    """A line of an import that could not be taken, and why. The line itself is not kept."""

    __tablename__ = "import_refusals"
    __table_args__ = (PrimaryKeyConstraint("import_id", "line"),)

    import_id: str = words(primary_key=True)
    line: int = Field(primary_key=True)
    #: The order id, or the reference of the movement, if it could be read.
    reference: str | None = words(null=True)
    code: str = words()
    pointer: str | None = words(null=True)


class ImportedMovement(Table, table=True):
    """A movement of points that an import posted. Its reference counts once per member, for ever.

    Rows stay with the member they were posted to: who lives on after a merge is asked about the
    references of those merged into them as well.
    """

    __tablename__ = "imported_movements"
    __table_args__ = (
        PrimaryKeyConstraint("member_id", "reference"),
        CheckConstraint(
            "kind in ('balance', 'earned', 'redeemed', 'expired', 'adjusted')",
            name="imported_movement_kind",
        ),
    )

    member_id: str = words(primary_key=True)
    reference: str = words(primary_key=True)
    kind: str = words()
    #: SHA-256 of the line's facts: the same reference with others is refused.
    facts_hash: bytes = Field(sa_type=LargeBinary)
    import_id: str = words()
    recorded_at: datetime = moment()
