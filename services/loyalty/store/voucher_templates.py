"""Voucher templates: kept, found, and counted down."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.voucher_templates import Template
from services.loyalty.domain.vouchers import Validity, Worth
from services.loyalty.store.tables import VoucherTemplate
from shared.sql import execute


async def find_template(session: AsyncSession, *, template_id: str) -> VoucherTemplate | None:
    """One template, or None."""
    return await session.get(VoucherTemplate, template_id)


async def list_templates(
    session: AsyncSession, *, before: str | None, limit: int
) -> Sequence[VoucherTemplate]:
    """Templates, newest first, those older than `before`."""
    wanted = select(VoucherTemplate).order_by(col(VoucherTemplate.id).desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(col(VoucherTemplate.id) < before)
    return (await session.exec(wanted)).all()


async def take_stock(session: AsyncSession, *, template_id: str, count: int) -> Template | None:
    """Count vouchers as issued if the template is active and has so many left; None otherwise.

    One conditional update, so that no concurrency oversells; it locks the template until commit.
    """
    issued = col(VoucherTemplate.issued) + count
    stock = col(VoucherTemplate.stock)
    found = await execute(
        session,
        update(VoucherTemplate)
        .where(
            col(VoucherTemplate.id) == template_id,
            col(VoucherTemplate.state) == "active",
            stock.is_(None) | (issued <= stock),
        )
        .values(issued=issued)
        .returning(*VoucherTemplate.__table__.columns),  # type: ignore[attr-defined]
    )
    row = found.one_or_none()
    return None if row is None else _template(row)


async def reward_template_id(
    session: AsyncSession,
    *,
    template_id: str,
    key: str,
    worth: Worth,
    days: int,
    name: str,
    created_by: str,
    now: datetime,
) -> str:
    """The template of rewards of one worth and validity; made under `template_id` if missing."""
    await execute(
        session,
        insert(VoucherTemplate)
        .values(
            id=template_id,
            name=name,
            kind=worth.kind,
            amount_fen=worth.amount_fen,
            threshold_fen=worth.threshold_fen,
            scope={"all": True},
            validity_days=days,
            issued=0,
            stackable=False,
            reward_key=key,
            state="active",
            created_by=created_by,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["reward_key"]),
    )
    found = await session.exec(
        select(VoucherTemplate.id).where(col(VoucherTemplate.reward_key) == key)
    )
    return found.one()


def worth_of(row: Any) -> Worth:
    """What a template or a voucher takes off."""
    return Worth(
        kind=row.kind,
        amount_fen=row.amount_fen,
        percent_off=row.percent_off,
        cap_fen=row.cap_fen,
        threshold_fen=row.threshold_fen,
    )


def _template(row: Row[Any]) -> Template:
    return Template(
        id=row.id,
        name=row.name,
        worth=worth_of(row),
        validity=Validity(
            days=row.validity_days, valid_from=row.valid_from, valid_until=row.valid_until
        ),
        per_member_limit=row.per_member_limit,
    )
