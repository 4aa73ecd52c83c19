"""What proves the ledger: checkpoints of all members' heads, and reconciliations."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, PrimaryKeyConstraint, text
from sqlmodel import Field

from services.loyalty.store.tables.base import Table, amount, document, moment, words


class LedgerCheckpoint(Table, table=True):
    """The whole ledger at one moment, chained to the checkpoint before; never changed.

    A member's own chain cannot tell that the member was removed with all rows, or cut back
    together with the account; the heads that a checkpoint covers can.
    """

    __tablename__ = "ledger_checkpoints"
    __table_args__ = (CheckConstraint("number > 0", name="checkpoint_number"),)

    #: 1, 2, 3 … without holes.
    number: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    taken_at: datetime = moment()
    #: Members who have any entry, and all their entries.
    members: int = amount()
    entries: int = amount()
    #: Net credits by account of all entries so far, the member's accounts and the programme's.
    totals: dict[str, Any] = document()
    #: What the members' account rows added up to in the same snapshot.
    balances: dict[str, Any] = document()
    #: SHA-256 over the heads that moved since the checkpoint before, in order of their members.
    digest: bytes = Field(sa_type=LargeBinary)
    previous_hash: bytes | None = Field(default=None, sa_type=LargeBinary)
    hash: bytes = Field(sa_type=LargeBinary)


class LedgerCheckpointHead(Table, table=True):
    """Where a member's chain stood at the first checkpoint after it had grown; never changed."""

    __tablename__ = "ledger_checkpoint_heads"
    __table_args__ = (PrimaryKeyConstraint("member_id", "seq"),)

    member_id: str = words(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    checkpoint: int = amount()
    hash: bytes | None = Field(default=None, sa_type=LargeBinary)


class LedgerReconciliation(Table, table=True):
    """One walk over all members that compares what must agree, and what did not."""

    __tablename__ = "ledger_reconciliations"
    __table_args__ = (
        CheckConstraint("state in ('running', 'done')", name="reconciliation_state"),
        CheckConstraint("(state = 'done') = (finished_at is not null)", name="reconciliation_done"),
        #: One at a time.
        Index(
            "ledger_reconciliation_running",
            "state",
            unique=True,
            postgresql_where=text("state = 'running'"),
        ),
        Index("ledger_reconciliations_by_start", "started_at"),
    )

    id: str = words(primary_key=True)
    state: str = words()
    requested_by: str = words()
    #: The checkpoint against which the ledger as a whole is compared; None when there is none yet.
    checkpoint: int | None = amount(null=True)
    #: The last member that has been looked at.
    after_member: str = words()
    #: How many have been looked at, of about how many, and their entries.
    members: int = amount(0)
    members_total: int = amount(0)
    entries: int = amount(0)
    #: Net credits by account of the entries that the checkpoint covers.
    sums: dict[str, Any] = document()
    #: How many disagree, and the first of them: `{"member_id", "identities"}`.
    disagreements: int = amount(0)
    first_disagreements: list[dict[str, Any]] = document()
    started_at: datetime = moment()
    finished_at: datetime | None = moment(null=True)
