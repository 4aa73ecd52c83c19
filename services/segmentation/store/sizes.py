"""Sizes of segments: those of the live standings, and those a run has kept."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel.ext.asyncio.session import AsyncSession

from services.segmentation.domain.sizes import NO_GROUP, Scheme, Size
from services.segmentation.store.tables import member_rfm, segment_sizes
from shared.sql import execute

_COLUMN_OF = {
    Scheme.segment: member_rfm.c.segment,
    Scheme.segment_11: member_rfm.c.segment_11,
    Scheme.group: func.coalesce(member_rfm.c.segment_group, NO_GROUP),
}


async def live_sizes(session: AsyncSession, *, scheme: Scheme) -> list[Size]:
    """How many members are in each part of a scheme now, empty parts too."""
    code = _COLUMN_OF[scheme].label("code")
    rows = await execute(
        session,
        select(
            code,
            func.count().label("size"),
            cast(func.sum(member_rfm.c.frequency), BigInteger).label("orders"),
            cast(func.sum(member_rfm.c.monetary_fen), BigInteger).label("monetary_fen"),
        ).group_by(code),
    )
    return _complete(rows, scheme=scheme)


async def unscored_members(session: AsyncSession) -> int:
    """How many members have imported orders that the next run will count in."""
    waiting: int = (
        await execute(
            session,
            select(func.count())
            .select_from(member_rfm)
            .where(member_rfm.c.unscored_since.is_not(None)),
        )
    ).scalar_one()
    return waiting


async def run_sizes(session: AsyncSession, *, run_id: str, scheme: Scheme) -> list[Size]:
    """What a run has kept."""
    rows = await execute(
        session,
        select(segment_sizes).where(
            segment_sizes.c.run_id == run_id, segment_sizes.c.scheme == scheme.value
        ),
    )
    return _complete(rows, scheme=scheme)


async def keep_sizes(session: AsyncSession, *, run_id: str, sizes: Sequence[Size]) -> None:
    """Keep the sizes that a run has found."""
    await execute(
        session,
        insert(segment_sizes),
        [
            {
                "run_id": run_id,
                "scheme": size.scheme.value,
                "code": size.code,
                "size": size.members,
                "orders": size.orders,
                "monetary_fen": size.monetary_fen,
            }
            for size in sizes
        ],
    )


def _complete(rows: Any, *, scheme: Scheme) -> list[Size]:
    found = {row.code: (row.size, row.orders, row.monetary_fen) for row in rows}
    return [
        Size(scheme=scheme, code=code, members=members, orders=orders, monetary_fen=fen)
        for code in scheme.codes
        for members, orders, fen in [found.get(code, (0, 0, 0))]
    ]
