"""Saving what decisions did to members' books: one statement, whatever the number of members."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.ledger import Entry
from services.loyalty.domain.lots import Allocation, Lot
from services.loyalty.store.accounts import LockedMember
from services.loyalty.store.columns import Column, arrays, insert, unnest
from shared.sql import execute

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


_SAVE: Final = text(
    f"""
    with entries as ({insert("point_entries", _ENTRIES)}),
    lots as (
      {insert("point_lots", _LOTS)}
      on conflict (member_id, id) do update set state = excluded.state,
        remaining = excluded.remaining, available_at = excluded.available_at,
        expires_at = excluded.expires_at
    ),
    allocations as ({insert("lot_allocations", _ALLOCATIONS)})
    update accounts set available = given.available, pending = given.pending, held = given.held,
      debt = given.debt, growth = given.growth, tier_code = given.tier_code,
      tier_floor = given.tier_floor, tier_since = given.tier_since,
      tier_valid_until = given.tier_valid_until, entry_seq = given.entry_seq,
      entry_hash = given.entry_hash
    from {unnest("accounts", _ACCOUNTS)} where accounts.member_id = given.member_id
    """  # noqa: S608 - constants of this file
)


async def save_members(session: AsyncSession, members: Sequence[LockedMember]) -> None:
    """Write balances, tiers, new entries, changed lots and allocations, in one statement."""
    entries = [entry for one in members for entry in one.account.entries]
    lots = [
        (one.id, one.account.lots[lot_id])
        for one in members
        for lot_id in sorted(one.account.touched)
    ]
    allocations = [(entry, part) for entry in entries for part in entry.allocations]
    await execute(
        session,
        _SAVE,
        {
            **arrays("accounts", _ACCOUNTS, members),
            **arrays("point_entries", _ENTRIES, entries),
            **arrays("point_lots", _LOTS, lots),
            **arrays("lot_allocations", _ALLOCATIONS, allocations),
        },
    )
