"""Vouchers: put into wallets, shown, and changed under their row's lock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.voucher_templates import Template
from services.loyalty.domain.vouchers import Period, Standing, VoucherState
from services.loyalty.store.tables import Member, Voucher, VoucherTemplate
from services.loyalty.store.voucher_templates import worth_of
from shared.sql import execute

_ADD = text(
    """
    insert into vouchers (id, code, member_id, source_id, template_id, kind, amount_fen,
      percent_off, cap_fen, threshold_fen, state, source_kind, valid_from, expires_at, issued_at)
    select id, code, member_id, source_id, :template_id, :kind, :amount_fen, :percent_off,
      :cap_fen, :threshold_fen, 'issued', :source_kind, :valid_from, :expires_at, :issued_at
    from unnest(
      cast(:ids as text[]), cast(:codes as text[]), cast(:member_ids as text[]),
      cast(:source_ids as text[])
    ) as given(id, code, member_id, source_id)
    """
)
_EXPIRE = text(
    """
    update vouchers set state = 'expired', closed_at = :now where id in (
      select id from vouchers where state = 'issued' and expires_at <= :now
      order by expires_at limit :limit for update skip locked
    )
    """
)


@dataclass(frozen=True, kw_only=True)
class NewVoucher:
    """A voucher about to be put into a wallet. `source_id` says for what, and is used once."""

    id: str
    code: str
    member_id: str
    source_id: str


@dataclass(frozen=True, kw_only=True)
class VoucherView:
    """A voucher with the name people know it by."""

    voucher: Voucher
    template_name: str


async def add_vouchers(
    session: AsyncSession,
    vouchers: Sequence[NewVoucher],
    *,
    template: Template,
    period: Period,
    source_kind: str,
    issued_at: datetime,
) -> None:
    """Put vouchers of one template into wallets, in one statement."""
    await execute(
        session,
        _ADD,
        {
            "ids": [one.id for one in vouchers],
            "codes": [one.code for one in vouchers],
            "member_ids": [one.member_id for one in vouchers],
            "source_ids": [one.source_id for one in vouchers],
            "template_id": template.id,
            "kind": template.worth.kind,
            "amount_fen": template.worth.amount_fen,
            "percent_off": template.worth.percent_off,
            "cap_fen": template.worth.cap_fen,
            "threshold_fen": template.worth.threshold_fen,
            "source_kind": source_kind,
            "valid_from": period.valid_from,
            "expires_at": period.expires_at,
            "issued_at": issued_at,
        },
    )


async def count_by_member(
    session: AsyncSession, *, template_id: str, member_ids: Sequence[str]
) -> dict[str, int]:
    """How many vouchers of a template members have had, voided ones left out; no row for none."""
    found = await session.exec(
        select(Voucher.member_id, func.count())
        .where(
            col(Voucher.template_id) == template_id,
            col(Voucher.member_id).in_(member_ids),
            col(Voucher.state) != "voided",
        )
        .group_by(col(Voucher.member_id))
    )
    return dict(found.all())


async def find_voucher(
    session: AsyncSession, *, voucher_id: str, lock: bool = False
) -> VoucherView | None:
    """One voucher, or None; with `lock`, nobody else changes it until commit."""
    wanted = (
        select(Voucher, VoucherTemplate.name)
        .join(VoucherTemplate, col(VoucherTemplate.id) == col(Voucher.template_id))
        .where(col(Voucher.id) == voucher_id)
    )
    if lock:
        wanted = wanted.with_for_update(of=Voucher).execution_options(populate_existing=True)
    row = (await session.exec(wanted)).one_or_none()
    return None if row is None else VoucherView(voucher=row[0], template_name=row[1])


async def owner_of_voucher(session: AsyncSession, *, voucher_id: str) -> str | None:
    """Whose voucher it is just now; None when there is none."""
    found = await session.exec(select(Voucher.member_id).where(col(Voucher.id) == voucher_id))
    return found.one_or_none()


async def list_vouchers_of(
    session: AsyncSession,
    *,
    member_id: str,
    state: VoucherState | None,
    now: datetime,
    before: str | None,
    limit: int,
) -> Sequence[VoucherView]:
    """A member's vouchers, newest first, those older than `before`, by their state as of now."""
    wanted = (
        select(Voucher, VoucherTemplate.name)
        .join(VoucherTemplate, col(VoucherTemplate.id) == col(Voucher.template_id))
        .join(Member, col(Member.id) == col(Voucher.member_id))
        .where(col(Voucher.member_id) == member_id, col(Member.state) != "erased")
        .order_by(col(Voucher.id).desc())
        .limit(limit)
    )
    if state is not None:
        wanted = wanted.where(_reads_as(state, now=now))
    if before is not None:
        wanted = wanted.where(col(Voucher.id) < before)
    rows = await session.exec(wanted)
    return [VoucherView(voucher=voucher, template_name=name) for voucher, name in rows]


async def save_voucher(session: AsyncSession, voucher: Voucher) -> None:
    """Write a voucher that was found with its lock and then changed."""
    session.add(voucher)
    await session.flush()


async def member_exists(session: AsyncSession, *, member_id: str) -> bool:
    """Whether there is such a member, merged ones included."""
    found = await session.exec(
        select(Member.id).where(col(Member.id) == member_id, col(Member.state) != "erased")
    )
    return found.first() is not None


async def expire_vouchers(session: AsyncSession, *, now: datetime, limit: int) -> int:
    """Mark unused vouchers past their end, at most `limit`, skipping locked ones; how many."""
    done = await execute(session, _EXPIRE, {"now": now, "limit": limit})
    return done.rowcount


def standing_of(voucher: Voucher) -> Standing:
    """What decides whether a voucher can be redeemed."""
    return Standing(
        state=voucher.state,  # type: ignore[arg-type]  # the table's check keeps it to these
        worth=worth_of(voucher),
        period=Period(valid_from=voucher.valid_from, expires_at=voucher.expires_at),
        order_id=voucher.order_id,
        order_fen=voucher.order_fen,
    )


def _reads_as(state: VoucherState, *, now: datetime) -> ColumnElement[bool]:
    over = (col(Voucher.state) == "issued") & (col(Voucher.expires_at) <= now)
    if state == "expired":
        return over | (col(Voucher.state) == "expired")
    return (col(Voucher.state) == state) & ~over
