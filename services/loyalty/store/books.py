"""Saving what decisions did to members' books: one statement, whatever the number of members."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import asyncpg
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.ledger import Entry
from services.loyalty.domain.lots import Allocation, Lot
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.writing import (
    Placeholders,
    Rows,
    Updates,
    given,
    inserting,
    keeping,
    telling,
    updating,
)
from shared.batches import Saving, Stale
from shared.idempotency import kept_rows
from shared.lanes import Connection
from shared.outbox import event_rows
from shared.records_sql import Column, as_records

T = TypeVar("T")
_STALE: Final = "HT001"

_ACCOUNTS: Final[Sequence[Column[LockedMember]]] = [
    ("member_id", "text", lambda one: one.id),
    ("available", "bigint", lambda one: one.account.balances.available),
    ("pending", "bigint", lambda one: one.account.balances.pending),
    ("held", "bigint", lambda one: one.account.balances.held),
    ("debt", "bigint", lambda one: one.account.balances.debt),
    ("growth", "bigint", lambda one: one.standing.growth),
    ("tier_code", "text", lambda one: one.standing.tier_code),
    ("tier_floor", "text", lambda one: one.standing.floor_code),
    ("tier_since", "timestamptz", lambda one: one.standing.since),
    ("tier_valid_until", "timestamptz", lambda one: one.standing.valid_until),
    ("entry_seq", "bigint", lambda one: one.account.seq),
    ("entry_hash", "bytea", lambda one: one.account.hash),
    ("growth_since", "timestamptz", lambda one: one.growth_since),
    ("version", "bigint", lambda one: one.version),
]
_ENTRIES: Final[Sequence[Column[Entry]]] = [
    ("member_id", "text", lambda one: one.member_id),
    ("seq", "bigint", lambda one: one.seq),
    ("kind", "text", lambda one: one.kind),
    ("debit_account", "text", lambda one: one.debit_account),
    ("credit_account", "text", lambda one: one.credit_account),
    ("points", "bigint", lambda one: one.points),
    ("available_after", "bigint", lambda one: one.after.available),
    ("pending_after", "bigint", lambda one: one.after.pending),
    ("held_after", "bigint", lambda one: one.after.held),
    ("debt_after", "bigint", lambda one: one.after.debt),
    ("cause_kind", "text", lambda one: one.cause.kind),
    ("cause_id", "text", lambda one: one.cause.id),
    ("reason", "text", lambda one: one.cause.reason),
    ("programme_version", "int", lambda one: one.programme_version),
    ("occurred_at", "timestamptz", lambda one: one.occurred_at),
    ("recorded_at", "timestamptz", lambda one: one.stamp.at),
    ("actor", "text", lambda one: one.stamp.actor),
    ("previous_hash", "bytea", lambda one: one.previous_hash),
    ("hash", "bytea", lambda one: one.hash),
]
_LOTS: Final[Sequence[Column[tuple[str, Lot]]]] = [
    ("member_id", "text", lambda one: one[0]),
    ("id", "text", lambda one: one[1].id),
    ("cause_kind", "text", lambda one: one[1].cause.kind),
    ("cause_id", "text", lambda one: one[1].cause.id),
    ("state", "text", lambda one: one[1].state),
    ("points", "bigint", lambda one: one[1].points),
    ("remaining", "bigint", lambda one: one[1].remaining),
    ("available_at", "timestamptz", lambda one: one[1].available_at),
    ("expires_at", "timestamptz", lambda one: one[1].expires_at),
    ("programme_version", "int", lambda one: one[1].programme_version),
    ("created_at", "timestamptz", lambda one: one[1].created_at),
]
_ALLOCATIONS: Final[Sequence[Column[tuple[Entry, Allocation]]]] = [
    ("member_id", "text", lambda one: one[0].member_id),
    ("entry_seq", "bigint", lambda one: one[0].seq),
    ("lot_id", "text", lambda one: one[1].lot_id),
    ("points", "bigint", lambda one: one[1].points),
]


_BOOKS: Final[Sequence[Rows[Any]]] = [
    Rows(table="point_entries", columns=_ENTRIES),
    Rows(
        table="point_lots",
        columns=_LOTS,
        conflict="""on conflict (member_id, id) do update set state = excluded.state,
          remaining = excluded.remaining, available_at = excluded.available_at,
          expires_at = excluded.expires_at""",
    ),
    Rows(table="lot_allocations", columns=_ALLOCATIONS),
]
#: `version` is what the decision was made on; whoever held the row while deciding gives none.
_MOVE: Final = """
    moved as (
      update accounts set {sets}, version = accounts.version + 1
      from {given}
      where accounts.member_id = given.member_id {after}
        and (given.version is null or given.version = accounts.version)
      returning 1
    )
"""


def _moving(placeholders: Placeholders, *, after: str = "") -> str:
    names = [name for name, _, _ in _ACCOUNTS if name not in ("member_id", "version")]
    sets = ", ".join(f"{name} = given.{name}" for name in names)
    return _MOVE.format(sets=sets, given=given(placeholders, _ACCOUNTS), after=after)


def _save_statement() -> str:
    placeholders = Placeholders()
    parts = [_moving(placeholders), *(inserting(placeholders, rows) for rows in _BOOKS)]
    return f"with {', '.join(parts)} select"


_SAVE: Final = _save_statement()


async def save_members(session: AsyncSession, members: Sequence[LockedMember]) -> None:
    """Write balances, tiers, new entries, changed lots and allocations, in one statement.

    The caller holds the members' accounts.
    """
    connection = await session.connection()
    held = [one.without_version() for one in members]
    await connection.exec_driver_sql(_SAVE, tuple(_arguments(held)))


class BatchStatement:
    """What a batch of hot requests writes: replies, books, events, and rows of its own tables.

    It fails as a whole when an account is not as it was when it was read. Locks are taken in the
    order of every write: keys, what is held besides, accounts by their id, events' subjects.
    """

    def __init__(
        self,
        *own: Rows[Any],
        changing: Sequence[Updates[Any]] = (),
        holding: str | None = None,
        unless: str | None = None,
    ) -> None:
        """`own` rows are added, those of `changing` changed.

        `holding` is SQL that takes locks, `unless` SQL that finds what must not be there; `{ids}`
        stands for some ids.
        """
        self._own: Sequence[Rows[Any] | Updates[Any]] = (*own, *changing)
        self._holds = holding is not None
        self._guarded = unless is not None
        placeholders = Placeholders()
        parts = [keeping(placeholders)]
        first = "and (select count(*) from kept) >= 0"
        if holding is not None:
            locks = holding.format(ids=f"{placeholders.next()}::text[]")
            parts.append(f"held as materialized ({locks} where true {first})")
            first = "and (select count(*) from held) >= 0"
        moved_first = "and (select count(*) from moved) >= 0"
        parts += [
            _moving(placeholders, after=first),
            *(inserting(placeholders, rows) for rows in (*_BOOKS, *own)),
            *(updating(placeholders, rows, after=moved_first) for rows in changing),
            telling(placeholders),
        ]
        done = "(select count(*) from kept) + (select count(*) from moved)"
        if unless is not None:
            there = unless.format(ids=f"{placeholders.next()}::text[]")
            done = f"case when exists ({there}) then -1 else {done} end"
        wanted = f"{placeholders.next()}::bigint"
        self._sql = f"with {', '.join(parts)} select refuse_stale({done}, {wanted})"

    async def run(
        self,
        connection: Connection,
        members: Sequence[LockedMember],
        own: Sequence[Sequence[Any]],
        *,
        saving: Saving,
        ids: Sequence[str] = (),
    ) -> None:
        """Write. `own` are the rows of each table of its own, those to be changed last.

        Raises Stale.
        """
        ordered = sorted(members, key=lambda one: one.id)
        arguments = [
            kept_rows(saving.replies, now=saving.now),
            *([sorted(ids)] if self._holds else []),
            *_arguments(ordered),
            *(rows.argument(values) for rows, values in zip(self._own, own, strict=True)),
            event_rows(saving.events, occurred_at=saving.now),
            *([list(ids)] if self._guarded else []),
            len(saving.replies) + len(ordered),
        ]
        try:
            await connection.fetch(self._sql, *arguments)
        except asyncpg.PostgresError as error:
            if error.sqlstate == _STALE:
                raise Stale from None
            raise


def _arguments(members: Sequence[LockedMember]) -> list[str]:
    entries = [entry for one in members for entry in one.account.entries]
    lots = [
        (one.id, one.account.lots[lot_id])
        for one in members
        for lot_id in sorted(one.account.touched)
    ]
    allocations = [(entry, part) for entry in entries for part in entry.allocations]
    books: Sequence[Sequence[Any]] = (entries, lots, allocations)
    return [
        as_records(_ACCOUNTS, members),
        *(rows.argument(values) for rows, values in zip(_BOOKS, books, strict=True)),
    ]
