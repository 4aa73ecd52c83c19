"""Measures from facts, as of the end of any business day, for some members or for all.

`measured` is `domain.rfm.measure` as a relation; tests hold the two together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Date,
    Double,
    Integer,
    Subquery,
    Text,
    any_,
    bindparam,
    case,
    cast,
    func,
    select,
)
from sqlmodel.ext.asyncio.session import AsyncSession

from services.segmentation.domain.rfm import PROSPECT, WINDOW_DAYS, Measures, State
from services.segmentation.domain.scoring import PopulationFacts, Scores, Thresholds
from services.segmentation.domain.segments import SLEEP_DAYS
from services.segmentation.domain.sizes import Cell
from services.segmentation.store.tables import members, order_facts, refund_facts
from shared.sql import execute

#: The fractions at which quantile cuts lie: k/5, each the nearest double, as percentile_disc needs.
_FRACTIONS: Final = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True, kw_only=True)
class QuantileCuts:
    """Order statistics of a population, from worst to best; empty when nobody is active."""

    recency_days: tuple[int, ...]
    frequency: tuple[int, ...]
    monetary_fen: tuple[int, ...]


def measured(*, as_of: date, member_ids: Sequence[str] | None = None) -> Subquery:
    """One row for each member with a valid order: member_id, recency_days, frequency,
    monetary_fen, first_day; of these members, or of all.
    """
    day = cast(bindparam("as_of", as_of, unique=True), Date)
    order_day, refund_day = order_facts.c.paid_day, refund_facts.c.refunded_day
    refunded = (
        select(refund_facts.c.order_id, func.sum(refund_facts.c.amount_fen).label("fen"))
        .where(refund_day <= day, *_only(refund_facts.c.member_id, member_ids))
        .group_by(refund_facts.c.order_id)
        .subquery("refunded")
    )
    net_fen = order_facts.c.paid_fen - order_facts.c.refunded_fen - func.coalesce(refunded.c.fen, 0)
    kept = (
        select(order_facts.c.member_id, order_day, net_fen.label("net_fen"))
        .outerjoin(refunded, refunded.c.order_id == order_facts.c.order_id)
        .where(order_day <= day, net_fen > 0, *_only(order_facts.c.member_id, member_ids))
        .subquery("kept")
    )
    recent = kept.c.paid_day > day - WINDOW_DAYS
    in_window = func.sum(kept.c.net_fen).filter(recent)
    return (
        select(
            kept.c.member_id,
            (day - func.max(kept.c.paid_day)).label("recency_days"),
            cast(func.count().filter(recent), Integer).label("frequency"),
            cast(func.coalesce(in_window, 0), BigInteger).label("monetary_fen"),
            func.min(kept.c.paid_day).label("first_day"),
        )
        .group_by(kept.c.member_id)
        .subquery("measured")
    )


async def measures_of(
    session: AsyncSession, *, member_ids: Sequence[str], as_of: date
) -> Mapping[str, Measures]:
    """The measures of these members; prospects are in it too."""
    of_them = measured(as_of=as_of, member_ids=member_ids)
    rows = await execute(
        session,
        select(
            of_them.c.member_id,
            of_them.c.recency_days,
            of_them.c.frequency,
            of_them.c.monetary_fen,
        ),
    )
    found = {
        row.member_id: Measures(
            recency_days=row.recency_days, frequency=row.frequency, monetary_fen=row.monetary_fen
        )
        for row in rows
    }
    return {member_id: found.get(member_id, PROSPECT) for member_id in member_ids}


async def population_facts(
    session: AsyncSession, *, as_of: date
) -> tuple[PopulationFacts, QuantileCuts]:
    """What thresholds of the whole population are made of, in one statement."""
    everybody = measured(as_of=as_of)
    active = everybody.c.frequency > 0
    days, orders, fen = (
        everybody.c.recency_days,
        everybody.c.frequency,
        everybody.c.monetary_fen,
    )
    history_days = cast(as_of, Date) - func.min(everybody.c.first_day)
    row = (
        await execute(
            session,
            select(
                func.count().filter(active).label("population"),
                cast(func.coalesce(func.sum(orders), 0), BigInteger).label("orders"),
                cast(func.coalesce(func.sum(fen), 0), BigInteger).label("monetary_fen"),
                func.coalesce(history_days, 0).label("history_days"),
                _cuts(days.desc(), active).label("recency_cuts"),
                _cuts(orders, active).label("frequency_cuts"),
                _cuts(fen, active).label("monetary_cuts"),
            ),
        )
    ).one()
    facts = PopulationFacts(
        population=row.population,
        orders=row.orders,
        monetary_fen=row.monetary_fen,
        history_days=row.history_days,
    )
    cuts = QuantileCuts(
        recency_days=tuple(row.recency_cuts or ()),
        frequency=tuple(row.frequency_cuts or ()),
        monetary_fen=tuple(row.monetary_cuts or ()),
    )
    return facts, cuts


async def population_cells(
    session: AsyncSession, *, as_of: date, thresholds: Thresholds
) -> list[Cell]:
    """All members known by that day, scored, counted by what their segments depend on."""
    everybody = measured(as_of=as_of)
    days, orders, fen = (
        everybody.c.recency_days,
        everybody.c.frequency,
        everybody.c.monetary_fen,
    )
    active = orders > 0
    r, f, m = (
        case((active, _score(-days, [-cut for cut in thresholds.recency_cuts_days]))),
        case((active, _score(orders, thresholds.frequency_cuts))),
        case((active, _score(fen, thresholds.monetary_cuts_fen))),
    )
    scored = (
        select(
            case((days.is_(None), "prospect"), (active, "active"), else_="lapsed").label("state"),
            r.label("r"),
            f.label("f"),
            m.label("m"),
            func.coalesce(days >= SLEEP_DAYS, False).label("asleep"),
            func.coalesce(orders, 0).label("orders"),
            func.coalesce(fen, 0).label("fen"),
        )
        .select_from(members)
        .outerjoin(everybody, everybody.c.member_id == members.c.member_id)
        .where(members.c.since_day <= as_of)
        .subquery("scored")
    )
    alike = (scored.c.state, scored.c.r, scored.c.f, scored.c.m, scored.c.asleep)
    rows = await execute(
        session,
        select(
            *alike,
            func.count().label("members"),
            cast(func.sum(scored.c.orders), BigInteger).label("orders"),
            cast(func.sum(scored.c.fen), BigInteger).label("fen"),
        ).group_by(*alike),
    )
    return [
        Cell(
            state=State(row.state),
            scores=None if row.r is None else Scores(r=row.r, f=row.f, m=row.m),
            asleep=row.asleep,
            members=row.members,
            orders=row.orders,
            monetary_fen=row.fen,
        )
        for row in rows
    ]


def _only(
    column: ColumnElement[str], member_ids: Sequence[str] | None
) -> tuple[ColumnElement[bool], ...]:
    """One array as a parameter, however many members: the statement is prepared once."""
    if member_ids is None:
        return ()
    return (column == any_(cast(list(member_ids), ARRAY(Text))),)


def _cuts(value: ColumnElement[int], active: ColumnElement[bool]) -> ColumnElement[Any]:
    fractions = cast(list(_FRACTIONS), ARRAY(Double))
    return func.percentile_disc(fractions).within_group(value).filter(active)


def _score(value: ColumnElement[int], cuts: Sequence[int]) -> ColumnElement[int]:
    """`domain.scoring.score_by_cuts`: one more than the cuts below the value.

    width_bucket counts the cuts that are at most its operand, hence the value less one.
    """
    below = func.width_bucket(
        cast(value - 1, BigInteger), cast(list(cuts), ARRAY(BigInteger)), type_=Integer
    )
    return 1 + below
