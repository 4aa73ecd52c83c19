"""Measures from facts, as of the end of any business day, for some members or for all.

`measured` is `domain.rfm.measure` as a relation; tests hold the two together. Statements are built
once, with parameters: building one costs more than PostgreSQL takes to answer for one member.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Date,
    Integer,
    Row,
    Subquery,
    Text,
    any_,
    bindparam,
    cast,
    func,
    select,
)
from sqlmodel.ext.asyncio.session import AsyncSession

from services.segmentation.domain.rfm import PROSPECT, WINDOW_DAYS, Measures
from services.segmentation.store.tables import order_facts, refund_facts
from shared.sql import execute

#: The parameters of `measured`. Members are one array, so that any number is the same statement.
AS_OF: Final = cast(bindparam("as_of"), Date)
SOME_MEMBERS: Final = cast(bindparam("member_ids"), ARRAY(Text))


def measured(*, of_some: bool) -> Subquery:
    """One row for each member with a valid order: member_id, recency_days, frequency,
    monetary_fen, first_day; as of the parameter `as_of`, of all or of those in `member_ids`.
    """
    refunded = (
        select(refund_facts.c.order_id, func.sum(refund_facts.c.amount_fen).label("fen"))
        .where(refund_facts.c.refunded_day <= AS_OF, *_only(refund_facts.c.member_id, of_some))
        .group_by(refund_facts.c.order_id)
        .subquery("refunded")
    )
    net_fen = order_facts.c.paid_fen - order_facts.c.refunded_fen - func.coalesce(refunded.c.fen, 0)
    kept = (
        select(order_facts.c.member_id, order_facts.c.paid_day, net_fen.label("net_fen"))
        .outerjoin(refunded, refunded.c.order_id == order_facts.c.order_id)
        .where(
            order_facts.c.paid_day <= AS_OF,
            net_fen > 0,
            *_only(order_facts.c.member_id, of_some),
        )
        .subquery("kept")
    )
    recent = kept.c.paid_day > AS_OF - WINDOW_DAYS
    in_window = func.sum(kept.c.net_fen).filter(recent)
    return (
        select(
            kept.c.member_id,
            (AS_OF - func.max(kept.c.paid_day)).label("recency_days"),
            cast(func.count().filter(recent), Integer).label("frequency"),
            cast(func.coalesce(in_window, 0), BigInteger).label("monetary_fen"),
            func.min(kept.c.paid_day).label("first_day"),
        )
        .group_by(kept.c.member_id)
        .subquery("measured")
    )


def _only(column: ColumnElement[str], of_some: bool) -> tuple[ColumnElement[bool], ...]:
    return (column == any_(SOME_MEMBERS),) if of_some else ()


_MEASURES_OF_SOME: Final = select(measured(of_some=True))


async def measures_of(
    session: AsyncSession, *, member_ids: Sequence[str], as_of: date
) -> Mapping[str, Measures]:
    """The measures of these members; prospects are in it too."""
    parameters = {"as_of": as_of, "member_ids": list(member_ids)}
    rows = await execute(session, _MEASURES_OF_SOME, parameters)
    found = {row.member_id: measures_in(row) for row in rows}
    return {member_id: found.get(member_id, PROSPECT) for member_id in member_ids}


def measures_in(row: Row[Any]) -> Measures:
    """The measures in a row of `measured`, outer joined or not."""
    if row.recency_days is None:
        return PROSPECT
    return Measures(
        recency_days=row.recency_days, frequency=row.frequency, monetary_fen=row.monetary_fen
    )
