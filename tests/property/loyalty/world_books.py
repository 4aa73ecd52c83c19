"""Balances and lots as the service has stored them, beside those of the reference."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from tests.property.loyalty.reference import Member
from tests.property.loyalty.reference_books import Books

#: A lot as both know it: its state, its points, what is left, and when it lapses.
_Told = tuple[Any, ...]

#: Lots that hold points or are new; of the others it is enough that the reference has none left.
_ACCOUNTS: Final = """
    select a.member_id, a.available, a.pending, a.held, a.debt, (
      select coalesce(json_agg(json_build_array(id, state, points, remaining,
        (extract(epoch from expires_at) * 1000000)::bigint)), '[]')
      from point_lots l
      where l.member_id = a.member_id and (l.remaining > 0 or l.created_at >= $2)) as lots
    from accounts a where a.member_id = any($1)
"""


async def differences(
    connection: asyncpg.Connection, books: Books, people: Sequence[str], *, new_since: datetime
) -> str:
    """What is wrong with these members, in words; nothing if all is as the reference says.

    Lots made since `new_since` get the names in the reference that the service gave them.
    """
    for row in await connection.fetch(_ACCOUNTS, people, new_since):
        who, member = row["member_id"], books.members[row["member_id"]]
        found = {name: row[name] for name in ("available", "pending", "held", "debt")}
        expected = {
            "available": member.points(are_open=True),
            "pending": member.points(are_open=False),
            "held": books.held(who) if member.state == "active" else 0,
            "debt": member.debt,
        }
        lots = {one[0]: tuple(one[1:]) for one in json.loads(row["lots"])}
        if member.state == "erased":
            lots = {name: one for name, one in lots.items() if one[2]}
        _name_new_lots(books, member, lots)
        kept = {name: _told(member, name) for name, lot in member.lots.items()
                if lot.left or name in lots}  # fmt: skip
        if (found, lots) != (expected, kept):
            wrong = {n: (lots.get(n), kept.get(n)) for n in {*lots, *kept}
                     if lots.get(n) != kept.get(n)}  # fmt: skip
            return f"{who} has {found}, expected {expected}; lots (found, expected): {wrong}"
    return ""


def _name_new_lots(books: Books, member: Member, lots: dict[str, _Told]) -> None:
    """Give the reference's new lots the ids that the service gave them, by what they are."""
    unknown = [name for name in lots if name not in member.lots]
    for name in sorted(name for name in member.lots if name.startswith("new ")):
        same = [one for one in unknown if lots[one] == _told(member, name)]
        if same:
            unknown.remove(same[0])
            lot = member.lots[same[0]] = member.lots.pop(name)
            order = books.orders.get(lot.cause)
            if order is not None and name in order.out:
                order.out[same[0]] = order.out.pop(name)


def _told(member: Member, name: str) -> _Told:
    lot = member.lots[name]
    state = ("available" if lot.open else "pending") if lot.left else "closed"
    return state, lot.points, lot.left, _micros(lot.ends)


def _micros(at: datetime | None) -> int | None:
    return None if at is None else round(at.timestamp()) * 1_000_000 + at.microsecond
