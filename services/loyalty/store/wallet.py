"""The wallet: all that a member has, in one query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.ledger import Balances
from services.loyalty.domain.programme import Programme, read_programme
from services.loyalty.domain.tiers import Standing
from services.loyalty.store.points import settled
from services.loyalty.store.programme import GROWTH_COUNTS_SINCE
from shared.lanes import Connection

# A lot that is due counts as available: the next write or the job will make it so. The schedule
# is settled in Python, where due points repay debt before they are anybody's to lose.
# The rules are read and taken apart once, not for each member or each of their rows; lots that
# hold points are found by the indexes of such lots, however many are used up.
_WALLET: Final = f"""
    with programme as materialized (
      select version, rules::text as rules, {GROWTH_COUNTS_SINCE} as growth_counts_since
      from programme_versions where published_at <= :now order by version desc limit 1
    )
    select accounts.*, programme.version as programme_version, programme.rules,
      (select coalesce(sum(growth), 0)::bigint from growth_entries
       where growth_entries.member_id = accounts.member_id
         and occurred_at >= programme.growth_counts_since
      ) as growth_now,
      (select coalesce(sum(remaining), 0)::bigint from point_lots as lots
       where lots.member_id = accounts.member_id and lots.state = 'pending'
         and lots.available_at <= :now) as due,
      case when accounts.debt > 0 then
        (select json_agg(json_build_array(remaining, expires_at) order by available_at, id)
         from point_lots as lots
         where lots.member_id = accounts.member_id and lots.state = 'pending'
           and lots.available_at <= :now and lots.remaining > 0)
      end::text as repaying,
      (select coalesce(json_agg(json_build_array(points, expires_at) order by expires_at), '[]')
       from (
         select sum(remaining)::bigint as points, expires_at from (
           select remaining, expires_at from point_lots as lots
           where lots.member_id = accounts.member_id and lots.state = 'available'
             and lots.remaining > 0
           union all
           select remaining, expires_at from point_lots as lots
           where lots.member_id = accounts.member_id and lots.state = 'pending'
             and lots.available_at <= :now
         ) as lots
         where expires_at is not null group by expires_at
       ) as schedule)::text as expiring,
      (select count(*) from vouchers
       where vouchers.member_id = accounts.member_id and vouchers.state = 'issued'
         and vouchers.valid_from <= :now and :now < vouchers.expires_at) as usable_vouchers
    from accounts join members on members.id = accounts.member_id cross join programme
    where accounts.member_id = any($1::text[]) and members.state <> 'erased'
    """.replace(":now", "$2::timestamptz")  # noqa: S608 - constants


@dataclass(frozen=True, kw_only=True)
class Expiring:
    """Points that lapse together."""

    points: int
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Wallet:
    """All that a member has at a moment."""

    balances: Balances
    expiring: list[Expiring]
    standing: Standing
    programme: Programme
    usable_vouchers: int


async def find_wallet(session: AsyncSession, *, member_id: str, now: datetime) -> Wallet | None:
    """A member's wallet at present; None if unknown or erased."""
    connection = await session.connection()
    found = await connection.exec_driver_sql(_WALLET, ([member_id], now))
    row = found.mappings().one_or_none()
    return None if row is None else _wallet(row)


async def read_wallets(
    connection: Connection, member_ids: Sequence[str], now: datetime
) -> Mapping[str, Wallet]:
    """The wallets of several members, by their ids, in one query."""
    rows = await connection.fetch(_WALLET, list(member_ids), now)
    return {row["member_id"]: _wallet(row) for row in rows}


def _wallet(row: Any) -> Wallet:
    balances = Balances(
        available=row["available"], pending=row["pending"], held=row["held"], debt=row["debt"]
    )
    return Wallet(
        balances=settled(balances, due=row["due"]),
        expiring=_schedule(row["expiring"], repaying=row["repaying"], debt=row["debt"]),
        standing=Standing(
            tier_code=row["tier_code"],
            floor_code=row["tier_floor"],
            since=row["tier_since"],
            valid_until=row["tier_valid_until"],
            growth=row["growth_now"],
        ),
        programme=read_programme(row["programme_version"], row["rules"]),
        usable_vouchers=row["usable_vouchers"],
    )


def _schedule(written: str, *, repaying: str | None, debt: int) -> list[Expiring]:
    """When points lapse, soonest first, less those that are about to repay debt.

    These are taken from the lots that are due, in the order in which they were: `repaying`, None
    where nothing is due or owed.
    """
    repaid: dict[str | None, int] = {}
    for points, expires_at in orjson.loads(repaying or "[]"):
        part = min(points, debt)
        debt -= part
        repaid[expires_at] = repaid.get(expires_at, 0) + part
    schedule = []
    for points, expires_at in orjson.loads(written):
        left = points - repaid.get(expires_at, 0)
        if left:
            schedule.append(Expiring(points=left, expires_at=datetime.fromisoformat(expires_at)))
    return schedule
