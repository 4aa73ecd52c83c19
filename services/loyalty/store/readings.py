"""Members as batches of hot requests read them: many in one statement, locked or not."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from services.loyalty.domain.ledger import Account, Balances
from services.loyalty.domain.lots import Cause, Lot
from services.loyalty.domain.programme import Programme, read_programme
from services.loyalty.domain.tiers import Standing
from services.loyalty.store.accounts import LockedMember, counted_since
from shared.kernel.records import replace
from shared.lanes import Connection

#: How many spendable lots are read at first; they suffice unless a member spends crumbs.
LOTS_AT_FIRST: Final = 64
_ALL: Final = 2**31 - 1

_LOCK: Final = """
    select 1 from accounts where member_id = any($1::text[]) order by member_id for update
"""
# Spendable lots come in the order of their use, which is the order of their index. Growth is
# counted anew for those whose window has moved on, which is once a day.
_MEMBERS: Final = """
    select accounts.*, members.state as member_state, members.merged_into,
      programme.programme_version, lots.*
    from (
      select *, case when growth_since is distinct from {since} and {since} is not null then (
        select coalesce(sum(growth), 0)::bigint from growth_entries
        where member_id = accounts.member_id and occurred_at >= {since}) end as recounted
      from accounts where member_id {whose} offset 0
    ) as accounts
    join members on members.id = accounts.member_id
    cross join (
      select version from programme_versions where published_at <= $2
      order by version desc limit 1
    ) as programme(programme_version)
    left join lateral (
      (select id, cause_kind, cause_id, state, points, remaining, available_at, expires_at,
         programme_version as lot_programme_version, created_at
       from point_lots
       where member_id = accounts.member_id and state = 'pending' and available_at <= $2
         and remaining > 0)
      union all
      (select id, cause_kind, cause_id, state, points, remaining, available_at, expires_at,
         programme_version, created_at
       from point_lots
       where member_id = accounts.member_id and state = 'available' and remaining > 0
       order by expires_at, created_at, id limit $3)
      {more_lots}
    ) as lots on true
"""


def members_sql(*, whose: str, since: str, more_lots: str = "") -> str:
    """SQL that reads members as of `$2` with their due lots and the first `$3` spendable ones.

    `whose` compares the member's id; growth is counted from the parameter `since` on, unless that
    is null; `more_lots` may add lots to the union.
    """
    return _MEMBERS.format(whose=whose, since=f"{since}::timestamptz", more_lots=more_lots)


_READ: Final = members_sql(whose="= any($1::text[])", since="$4")
_PROGRAMMES: Final = "select version, rules::text as rules from programme_versions"
_GROWTH: Final = """
    select member_id, coalesce(sum(growth), 0)::bigint as growth
    from growth_entries
    where member_id = any($1::text[]) and occurred_at >= $2
    group by member_id
"""


class MemberReader:
    """Reads members in batches. Remembers the programme's versions, which never change."""

    def __init__(self) -> None:
        self._programmes: dict[int, Programme] = {}
        #: What was in force when it was last asked; most likely it still is.
        self._latest: Programme | None = None
        #: For how many months activity renews the lots of a version, for those where it does.
        self._renewals: dict[int, int] = {}

    async def read(
        self,
        connection: Connection,
        *,
        spending: Mapping[str, int],
        now: datetime,
        locked: bool,
        growth: bool = False,
    ) -> dict[str, LockedMember]:
        """Members by id, with the lots that are due and those that pay what each will spend.

        `spending` has each member's points to be spent, 0 where none are. Unknown ids are missing.
        With `locked` the accounts are locked first, in order of their ids, until the transaction
        ends. With `growth` the standing's growth is that of the present window.
        """
        ids = list(spending)
        if locked:
            await connection.fetch(_LOCK, ids)
        limit = LOTS_AT_FIRST if any(spending.values()) else 0
        limit = _ALL if self._renewals else limit
        since = self.window_start(now=now) if growth else None
        members = await self._members(connection, ids, now=now, limit=limit, since=since)
        short = any(_short(one, spending[one.id]) for one in members.values())
        if short or (self._renewals and limit != _ALL):
            members = await self._members(connection, ids, now=now, limit=_ALL, since=since)
        return await with_growth(connection, members, now=now) if growth else members

    def window_start(self, *, now: datetime) -> datetime | None:
        """From when on growth counts under the rules last met; None when none were met yet."""
        return counted_since(self._latest, now=now) if self._latest else None

    async def _members(
        self,
        connection: Connection,
        ids: Sequence[str],
        *,
        now: datetime,
        limit: int,
        since: datetime | None,
    ) -> dict[str, LockedMember]:
        rows = await connection.fetch(_READ, ids, now, limit, since)
        return await self.members_of(connection, rows, since=since)

    async def members_of(
        self, connection: Connection, rows: Iterable[Any], *, since: datetime | None
    ) -> dict[str, LockedMember]:
        """Members by id, from the rows of `members_sql`."""
        by_member: dict[str, list[Any]] = {}
        for row in rows:
            by_member.setdefault(row["member_id"], []).append(row)
        found = {}
        for member_id, own in by_member.items():
            if own[0]["programme_version"] not in self._programmes:
                await self._learn(connection)
            programme = self._programmes[own[0]["programme_version"]]
            self._latest = programme
            member = _member(own, programme=programme, renewals=self._renewals)
            found[member_id] = _recounted(member, own[0]["recounted"], since=since)
        return found

    async def _learn(self, connection: Connection) -> None:
        """Read the programme's versions, when one is met that is not known yet."""
        for row in await connection.fetch(_PROGRAMMES):
            programme = read_programme(row["version"], row["rules"])
            self._programmes[programme.version] = programme
            if programme.expiry.policy == "activity":
                self._renewals[programme.version] = programme.expiry.months


async def with_growth(
    connection: Connection, members: dict[str, LockedMember], *, now: datetime
) -> dict[str, LockedMember]:
    """Growth counted anew for those who need it still, since other rules came into force."""
    # One programme is in force for all of them, so one window.
    programme = next((one.programme for one in members.values()), None)
    start = counted_since(programme, now=now) if programme is not None else now
    moved = [one for one in members.values() if one.growth_since != start]
    if not moved:
        return members
    sums = {
        row["member_id"]: row["growth"]
        for row in await connection.fetch(_GROWTH, [one.id for one in moved], start)
    }
    for one in moved:
        standing = replace(one.standing, growth=sums.get(one.id, 0))
        members[one.id] = replace(one, standing=standing, growth_since=start)
    return members


def _recounted(member: LockedMember, growth: int | None, *, since: datetime | None) -> LockedMember:
    """The member with the growth since then, if that was counted."""
    if growth is None:
        return member
    return replace(member, standing=replace(member.standing, growth=growth), growth_since=since)


def _short(member: LockedMember, spending: int) -> bool:
    """Whether more will be spent than the lots that were read hold, though the member has it."""
    read = sum(lot.remaining for lot in member.account.lots.values() if lot.state == "available")
    return read < min(spending, member.account.balances.available)


def _member(
    rows: Sequence[Any], *, programme: Programme, renewals: Mapping[int, int]
) -> LockedMember:
    row = rows[0]
    lots = {one["id"]: _lot(one, renewals) for one in rows if one["id"] is not None}
    return LockedMember(
        state=row["member_state"],
        merged_into=row["merged_into"],
        account=Account(
            member_id=row["member_id"],
            balances=Balances(
                available=row["available"],
                pending=row["pending"],
                held=row["held"],
                debt=row["debt"],
            ),
            seq=row["entry_seq"],
            hash=row["entry_hash"],
            lots=lots,
        ),
        standing=Standing(
            tier_code=row["tier_code"],
            floor_code=row["tier_floor"],
            since=row["tier_since"],
            valid_until=row["tier_valid_until"],
            growth=row["growth"],
        ),
        programme=programme,
        growth_since=row["growth_since"],
        version=row["version"],
    )


def _lot(row: Any, renewals: Mapping[int, int]) -> Lot:
    return Lot(
        id=row["id"],
        cause=Cause(kind=row["cause_kind"], id=row["cause_id"]),
        state=row["state"],
        points=row["points"],
        remaining=row["remaining"],
        available_at=row["available_at"],
        expires_at=row["expires_at"],
        programme_version=row["lot_programme_version"],
        created_at=row["created_at"],
        renewal_months=renewals.get(row["lot_programme_version"]),
    )
