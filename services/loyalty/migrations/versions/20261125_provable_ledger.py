"""provable ledger

Entries are hashed together with their allocations, what has been written in the ledger can only be
added to, and checkpoints cover all members at once.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import orjson
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "c41e7d02b6f5"
down_revision: str | None = "5b1f6f0e9c3d"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_APPEND_ONLY = (
    "point_entries", "lot_allocations", "ledger_checkpoints", "ledger_checkpoint_heads"
)  # fmt: skip
#: Entries re-chained at a time: what is held in memory, whatever the size of the ledger.
_SLICE = 5_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# An owner may take ordinary rights away from itself, so the service, which owns its tables, is
# stopped by its own rights. A superuser has no rights to take away; the trigger stops it too. It
# is per statement, and for what is never done, so inserts cost nothing more.
_REFUSE = """
    create function refuse_to_change_the_ledger() returns trigger language plpgsql as $$
    begin
      raise exception '% is append-only: % is refused', tg_table_name, lower(tg_op)
        using errcode = 'insufficient_privilege',
          hint = 'The ledger is corrected by further entries, never by changing what was written.';
    end
    $$
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    # Nobody writes entries while they are hashed anew.
    op.execute("lock table accounts, point_entries in share row exclusive mode")
    _create_tables()
    # The check of this key locks the entry's row (FOR KEY SHARE), for which PostgreSQL wants the
    # right to update entries. An entry's hash covers its allocations, which proves more.
    op.drop_constraint(_KEY, "lot_allocations", type_="foreignkey")
    _chain_anew(_hash_with_allocations)
    op.execute(_REFUSE)
    for table in _APPEND_ONLY:
        op.execute(
            f"create trigger {table}_append_only before update or delete or truncate on {table}"
            " for each statement execute function refuse_to_change_the_ledger()"
        )
        for role in _owner_and(table):
            op.execute(f"revoke update, delete, truncate on {table} from {role}")


def downgrade() -> None:
    op.execute("set local lock_timeout = '4s'")
    op.execute("lock table accounts in share row exclusive mode")
    for table in _APPEND_ONLY:
        op.execute(f"drop trigger {table}_append_only on {table}")
        op.execute(f"grant update, delete, truncate on {table} to {_owner(table)}")
    op.execute("drop function refuse_to_change_the_ledger()")
    _chain_anew(_hash_without_allocations)
    op.create_foreign_key(
        _KEY, "lot_allocations", "point_entries", ["member_id", "entry_seq"], ["member_id", "seq"]
    )
    op.drop_index("ledger_reconciliations_by_start", table_name="ledger_reconciliations")
    op.drop_index(
        "ledger_reconciliation_running",
        table_name="ledger_reconciliations",
        postgresql_where=sa.text("state = 'running'"),
    )
    op.drop_table("ledger_reconciliations")
    op.drop_table("ledger_checkpoint_heads")
    op.drop_table("ledger_checkpoints")


_KEY = "lot_allocations_member_id_entry_seq_fkey"


def _create_tables() -> None:
    json, moment = postgresql.JSONB(astext_type=sa.Text()), sa.DateTime(timezone=True)
    op.create_table(
        "ledger_checkpoints",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("taken_at", moment, nullable=False),
        sa.Column("members", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("totals", json, nullable=False),
        sa.Column("balances", json, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("number > 0", name="checkpoint_number"),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "ledger_checkpoint_heads",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("checkpoint", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("member_id", "seq"),
    )
    op.create_table(
        "ledger_reconciliations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("checkpoint", sa.BigInteger(), nullable=True),
        sa.Column("after_member", sa.Text(), nullable=False),
        sa.Column("members", sa.BigInteger(), nullable=False),
        sa.Column("members_total", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("sums", json, nullable=False),
        sa.Column("disagreements", sa.BigInteger(), nullable=False),
        sa.Column("first_disagreements", json, nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("finished_at", moment, nullable=True),
        sa.CheckConstraint("state in ('running', 'done')", name="reconciliation_state"),
        sa.CheckConstraint(
            "(state = 'done') = (finished_at is not null)", name="reconciliation_done"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ledger_reconciliation_running",
        "ledger_reconciliations",
        ["state"],
        unique=True,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index("ledger_reconciliations_by_start", "ledger_reconciliations", ["started_at"])


def _owner(table: str) -> str:
    """The role that owns a table, quoted."""
    found = op.get_bind().execute(
        sa.text("select relowner::regrole::text from pg_class where oid = cast(:name as regclass)"),
        {"name": table},
    )
    return str(found.scalar_one())


def _owner_and(table: str) -> list[str]:
    """Everybody who may change a table, whoever gave them the right."""
    found = op.get_bind().execute(
        sa.text(
            "select distinct case when grantee = 0 then 'public' else grantee::regrole::text end"
            " from pg_class, aclexplode(relacl) where oid = cast(:name as regclass)"
        ),
        {"name": table},
    )
    return sorted({_owner(table), *found.scalars()})


# What follows is a fixed copy of the two definitions of the hash: this one, and the one before it.

_COLUMNS = (
    "member_id", "seq", "kind", "debit_account", "credit_account", "points", "available_after",
    "pending_after", "held_after", "debt_after", "cause_kind", "cause_id", "reason",
    "programme_version", "occurred_at", "recorded_at", "actor",
)  # fmt: skip
_READ = sa.text(
    f"""
    select {", ".join(_COLUMNS)}, (
      select coalesce(json_agg(json_build_array(lot_id, points)), '[]')::text
      from lot_allocations as parts
      where parts.member_id = point_entries.member_id and parts.entry_seq = point_entries.seq
    ) as allocations
    from point_entries where (member_id, seq) > (:member_id, :seq)
    order by member_id, seq limit {_SLICE}
    """  # noqa: S608 - constants
)
_WRITE = sa.text(
    """
    update point_entries set previous_hash = given.previous_hash, hash = given.hash
    from unnest(
      cast(:member_ids as text[]), cast(:seqs as bigint[]), cast(:before as bytea[]),
      cast(:hashes as bytea[])
    ) as given(member_id, seq, previous_hash, hash)
    where point_entries.member_id = given.member_id and point_entries.seq = given.seq
    """
)
_HEADS = """
    update accounts set entry_hash = point_entries.hash from point_entries
    where point_entries.member_id = accounts.member_id and point_entries.seq = accounts.entry_seq
"""
_Hash = Callable[[bytes | None, list[object], list[object]], bytes]


def _chain_anew(hashed: _Hash) -> None:
    """Hash every entry again, in order, a slice at a time."""
    bind = op.get_bind()
    member_id, seq, before = "", 0, None
    while rows := bind.execute(_READ, {"member_id": member_id, "seq": seq}).all():
        written: list[tuple[str, int, bytes | None, bytes]] = []
        for row in rows:
            if row.member_id != member_id:
                member_id, before = row.member_id, None
            columns = [_plain(value) for value in row[: len(_COLUMNS)]]
            after = hashed(before, columns, orjson.loads(row.allocations))
            seq = row.seq
            written.append((member_id, seq, before, after))
            before = after
        names = ("member_ids", "seqs", "before", "hashes")
        columns_of = map(list, zip(*written, strict=True))
        bind.execute(_WRITE, dict(zip(names, columns_of, strict=True)))
    op.execute(_HEADS)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return (value - _EPOCH) // timedelta(microseconds=1)
    return value


def _hash_with_allocations(
    before: bytes | None, columns: list[object], allocations: list[object]
) -> bytes:
    return _digest(before, [*columns, sorted(allocations)])  # type: ignore[type-var]


def _hash_without_allocations(
    before: bytes | None, columns: list[object], _allocations: list[object]
) -> bytes:
    return _digest(before, columns)


def _digest(before: bytes | None, columns: list[object]) -> bytes:
    return hashlib.sha256((before or bytes(32)) + orjson.dumps(columns)).digest()
