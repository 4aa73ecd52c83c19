"""Members' accounts: locked, loaded with the lots a decision needs, saved with what it posted.

The account's row is the one lock of a member's points: whoever changes entries, lots, growth or
tier holds it. It is taken by a statement of its own, and what it guards is read by the next one,
which sees everything committed before the lock was granted. A statement that locks and reads lots
at once would read them as they were before it began to wait.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from sqlalchemy import Row, text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.ledger import Account, Balances
from services.loyalty.domain.lots import Cause, Lot
from services.loyalty.domain.members import MemberMerged, MemberNotFound, MemberState
from services.loyalty.domain.programme import Programme, growth_window_start, read_programme
from services.loyalty.domain.tiers import Standing
from services.loyalty.store.programme import PROGRAMME_IN_FORCE, RENEWED_UNTIL
from shared.kernel.records import replace
from shared.sql import execute

#: Which lots to load: those that have become due or that activity would renew, or all that still
#: hold points.
LotChoice = Literal["due", "open"]

_ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)

_LOCK: Final = """
    select accounts.*, programme.version as programme_version, programme.rules
    from accounts cross join {programme} as programme
    where accounts.member_id = any(:member_ids)
    order by accounts.member_id
    for update of accounts {skip}
"""
_LOCK_WAITING: Final = text(_LOCK.format(programme=PROGRAMME_IN_FORCE, skip=""))
_LOCK_FREE: Final = text(_LOCK.format(programme=PROGRAMME_IN_FORCE, skip="skip locked"))

_LOAD: Final = text(
    f"""
    select members.id as member_id, members.state as member_state, members.merged_into,
      (select coalesce(sum(growth), 0)::bigint from growth_entries
       where growth_entries.member_id = members.id
         and occurred_at >= :window_start
      ) as growth,
      lots.id as lot_id, lots.cause_kind, lots.cause_id, lots.state, lots.points, lots.remaining,
      lots.available_at, lots.expires_at, lots.programme_version, lots.created_at,
      lots.activity_months
    from members left join (
      select point_lots.*, made_by.activity_months from point_lots
      join programme_versions as made_by on made_by.version = point_lots.programme_version
    ) as lots
      on lots.member_id = members.id and lots.remaining > 0
      and ((lots.state = 'pending' and lots.available_at <= :now)
           or (:all_open and lots.state in ('pending', 'available'))
           or (lots.state = 'available' and lots.expires_at < {RENEWED_UNTIL}))
    where members.id = any(:member_ids)
    """  # noqa: S608 - a constant
)


@dataclass(frozen=True, kw_only=True)
class LockedMember:
    """A member whose account this transaction holds."""

    state: MemberState
    merged_into: str | None
    account: Account
    standing: Standing
    programme: Programme
    #: From when on the growth of the standing was counted.
    growth_since: datetime | None = None
    #: Which state of the account was read; None when the row is held, so that it cannot change.
    version: int | None = None

    @property
    def id(self) -> str:
        """The member's id."""
        return self.account.member_id

    def active(self) -> "LockedMember":
        """The member, if still one. Raises MemberMerged, or MemberNotFound if erased."""
        if self.merged_into is not None:
            raise MemberMerged(merged_into=self.merged_into)
        if self.state != "active":
            raise MemberNotFound
        return self

    def without_version(self) -> "LockedMember":
        """The member, for whoever holds the account and need not compare."""
        return self if self.version is None else replace(self, version=None)

    def with_account(self, account: Account) -> "LockedMember":
        """The member with other books."""
        return replace(self, account=account)

    def with_standing(self, standing: Standing) -> "LockedMember":
        """The member in another tier or with other growth."""
        return replace(self, standing=standing)


async def lock_members(
    session: AsyncSession,
    *,
    member_ids: Sequence[str],
    now: datetime,
    lots: LotChoice,
    skip_locked: bool = False,
) -> Mapping[str, LockedMember]:
    """Lock accounts in order of their ids and load them, in two statements for any number.

    Unknown members are missing from the answer; with `skip_locked`, so are those held by others.
    """
    lock = _LOCK_FREE if skip_locked else _LOCK_WAITING
    locked = await execute(session, lock, {"member_ids": list(member_ids), "now": now})
    accounts = locked.all()
    if not accounts:
        return {}
    programme = read_programme(accounts[0].programme_version, accounts[0].rules)
    since = counted_since(programme, now=now)
    loaded = await execute(
        session,
        _LOAD,
        {
            "member_ids": [row.member_id for row in accounts],
            "now": now,
            "all_open": lots == "open",
            "window_start": since,
        },
    )
    rows: dict[str, list[Row[Any]]] = {}
    for row in loaded:
        rows.setdefault(row.member_id, []).append(row)
    return {
        row.member_id: _locked(row, rows[row.member_id], programme=programme, since=since)
        for row in accounts
    }


def counted_since(programme: Programme, *, now: datetime) -> datetime:
    """From when on growth is counted at present; a programme without a window counts all."""
    return growth_window_start(programme, now=now) or _ALWAYS


async def lock_member(
    session: AsyncSession, *, member_id: str, now: datetime, lots: LotChoice
) -> LockedMember:
    """Lock and load one member. Raises MemberNotFound."""
    found = await lock_members(session, member_ids=[member_id], now=now, lots=lots)
    if member_id not in found:
        raise MemberNotFound
    return found[member_id]


def _locked(
    account: Row[Any],
    rows: Sequence[Row[Any]],
    *,
    programme: Programme,
    since: datetime,
) -> LockedMember:
    lots = [_lot(row) for row in rows if row.lot_id is not None]
    return LockedMember(
        state=rows[0].member_state,
        merged_into=rows[0].merged_into,
        account=Account(
            member_id=account.member_id,
            balances=Balances(
                available=account.available,
                pending=account.pending,
                held=account.held,
                debt=account.debt,
            ),
            seq=account.entry_seq,
            hash=account.entry_hash,
            lots={lot.id: lot for lot in lots},
        ),
        standing=Standing(
            tier_code=account.tier_code,
            floor_code=account.tier_floor,
            since=account.tier_since,
            valid_until=account.tier_valid_until,
            growth=rows[0].growth,
        ),
        programme=programme,
        growth_since=since,
    )


def _lot(row: Row[Any]) -> Lot:
    return Lot(
        id=row.lot_id,
        cause=Cause(kind=row.cause_kind, id=row.cause_id),
        state=row.state,
        points=row.points,
        remaining=row.remaining,
        available_at=row.available_at,
        expires_at=row.expires_at,
        programme_version=row.programme_version,
        created_at=row.created_at,
        renewal_months=row.activity_months,
    )
