"""The record of merges, and what deciding about them needs to know."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.lots import Lot
from services.loyalty.domain.merges_standing import OwnGrowth
from services.loyalty.store.lots import stored_lot
from services.loyalty.store.tables import Member, MemberMerge
from shared.sql import execute

_ORDERS: Final = text(
    "select count(*) from (select from orders where member_id = :member_id limit :most) as counted"
)
_ORDERS_DEBT: Final = text(
    """
    select coalesce(sum(fact.debt_points), 0)::bigint from (
      select order_id, debt_points from refunds
      union all select order_id, debt_points from order_cancellations
    ) as fact
    join member_merge_moves as move on move.thing_id = fact.order_id
    where move.merge_id = :merge_id and move.kind = 'order'
    """
)
_HELD: Final = text(
    """
    select coalesce(sum(points), 0)::bigint from redemptions
    where member_id = :member_id and state = 'held'
    """
)
_PAID_DEBT: Final = text(
    """
    select lots.*, -parts.points as paid
    from point_entries as entries
    join lot_allocations as parts
      on parts.member_id = entries.member_id and parts.entry_seq = entries.seq
    join point_lots as lots on lots.member_id = parts.member_id and lots.id = parts.lot_id
    where entries.member_id = :member_id and entries.kind = 'repaid'
      and entries.cause_kind = 'merge' and entries.cause_id = :merge_id
    order by lots.id
    """
)
_GROWTH: Final = text(
    """
    select members.id,
      coalesce(sum(growth) filter (where cast(:now_from as timestamptz) is null
        or occurred_at >= :now_from), 0)::bigint as now,
      coalesce(sum(growth) filter (where cast(:then_from as timestamptz) is null
        or occurred_at >= :then_from), 0)::bigint as then
    from members left join growth_entries on growth_entries.member_id = members.id
    where members.id = any(:member_ids) group by members.id
    """
)
_SAME_HOLDS: Final = text(
    """
    select exists (
      select from redemptions as one
      join redemptions as other using (purpose, reference)
      where one.member_id = :member_id and one.state = 'held'
        and other.member_id = :source and other.state = 'held')
    """
)
_NUMBER: Final = text(
    "select coalesce(max(number), 0) + 1 from member_merges where member_id = :member_id"
)
_LATER: Final = text(
    """
    select exists (
      select from member_merges where member_id = :member_id and reversed_at is null
        and number > :number
    )
    """
)


async def lock_rows(session: AsyncSession, *, member_ids: Sequence[str]) -> Mapping[str, Member]:
    """Members' own rows, kept from others until commit, in order of their ids.

    Taken after the accounts. Who puts something into a wallet holds the row for share.
    """
    found = await session.exec(
        select(Member)
        .where(col(Member.id).in_(member_ids))
        .order_by(col(Member.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {member.id: member for member in found}


async def has_more_orders(session: AsyncSession, *, member_id: str, than: int) -> bool:
    """Whether a member has more orders than so many."""
    found = await execute(session, _ORDERS, {"member_id": member_id, "most": than + 1})
    return int(found.scalar_one()) > than


async def hold_the_same(session: AsyncSession, *, member_id: str, source: str) -> bool:
    """Whether two members hold points for the same purpose and reference."""
    found = await execute(session, _SAME_HOLDS, {"member_id": member_id, "source": source})
    return bool(found.scalar_one())


async def next_number(session: AsyncSession, *, member_id: str) -> int:
    """The number of the next merge into a member, whose account the caller holds."""
    return int((await execute(session, _NUMBER, {"member_id": member_id})).scalar_one())


async def add_merge(session: AsyncSession, merge: MemberMerge) -> None:
    """Write a new merge, so that what it moves can be told beside it."""
    session.add(merge)
    await session.flush()


async def find_merge(
    session: AsyncSession, *, merge_id: str, lock: bool = False
) -> MemberMerge | None:
    """One merge; with `lock`, nobody else takes it back until commit."""
    wanted = select(MemberMerge).where(col(MemberMerge.id) == merge_id)
    if lock:
        wanted = wanted.with_for_update().execution_options(populate_existing=True)
    return (await session.exec(wanted)).one_or_none()


async def list_merges(
    session: AsyncSession, *, member_id: str, before: str | None, limit: int
) -> Sequence[MemberMerge]:
    """The merges a member took part in, as either of the two, newest first."""
    wanted = (
        select(MemberMerge)
        .where(
            (col(MemberMerge.member_id) == member_id)
            | (col(MemberMerge.source_member_id) == member_id)
        )
        .order_by(col(MemberMerge.id).desc())
        .limit(limit)
    )
    if before is not None:
        wanted = wanted.where(col(MemberMerge.id) < before)
    return (await session.exec(wanted)).all()


async def has_later_merge(session: AsyncSession, *, merge: MemberMerge) -> bool:
    """Whether somebody else was merged into the same member since, and still is."""
    given = {"member_id": merge.member_id, "number": merge.number}
    return bool((await execute(session, _LATER, given)).scalar_one())


async def orders_debt(session: AsyncSession, *, merge_id: str) -> int:
    """Debt that refunds and cancellations of a merge's orders have made so far, repaid or not."""
    return int((await execute(session, _ORDERS_DEBT, {"merge_id": merge_id})).scalar_one())


async def held_points(session: AsyncSession, *, member_id: str) -> int:
    """Points in the open holds that are a member's."""
    return int((await execute(session, _HELD, {"member_id": member_id})).scalar_one())


async def lots_that_repaid(
    session: AsyncSession, *, member_id: str, merge_id: str
) -> list[tuple[Lot, int]]:
    """The lots that paid debt at a merge, as they are now, and how much each of them paid."""
    rows = await execute(session, _PAID_DEBT, {"member_id": member_id, "merge_id": merge_id})
    return [
        (
            stored_lot(row),
            row.paid,
        )
        for row in rows
    ]


async def own_growth(
    session: AsyncSession,
    *,
    member_ids: Sequence[str],
    now_from: datetime | None,
    then_from: datetime | None,
) -> Mapping[str, OwnGrowth]:
    """Members' growth in the present window and in a past one, net of all refunds since."""
    rows = await execute(
        session,
        _GROWTH,
        {"member_ids": list(member_ids), "now_from": now_from, "then_from": then_from},
    )
    return {row.id: OwnGrowth(now=row.now, then=row.then) for row in rows}
