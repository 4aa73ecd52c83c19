"""Referrals over HTTP: whom a member brought, all in a state, one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from services.referral.api.members import refuse_unknown_member
from services.referral.domain.decisions import CAPPED
from services.referral.domain.programme import Role, StageName
from services.referral.domain.referrals import ReferralState
from services.referral.domain.rewards import RewardState, VoucherState
from services.referral.store import referrals as store
from services.referral.store import rewards as reward_store
from services.referral.store.tables import Referral, Reward
from shared.db import Database
from shared.http.fields import MemberId, ReferralId, ReplyModel
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.kernel.errors import NotFound
from shared.kernel.paging import decode_cursor, encode_cursor, page_of

router = APIRouter(prefix="/v1", tags=["referrals"])

StateQuery = Annotated[ReferralState | None, Query(description="Only those in this state")]


class RewardReply(ReplyModel):
    """What a stage brought to one of the two. A reversed one may be followed by another."""

    id: str
    stage: StageName
    role: Role
    beneficiary: str = Field(description="The member who gets it")
    amount_fen: int
    state: RewardState
    voucher_id: str | None
    voucher_state: VoucherState | None
    reason: str | None = Field(description="Why it was reversed, as a code")


class ReferralReply(ReplyModel):
    """Who brought whom, how far it has come, and what it brought."""

    id: str
    referrer: str | None = Field(description="The member who shared the code; null if nobody did")
    referee: str = Field(description="The member who enrolled with it")
    code: str
    state: ReferralState
    reasons: list[str] = Field(
        description="Codes of why it was rejected, or why the referrer gets nothing",
        examples=[["existing_customer"]],
    )
    enrolled_at: datetime
    first_order_id: str | None = Field(
        description="The referee's earliest order that meets the programme's conditions"
    )
    programme_version: int = Field(description="The programme under which the referee enrolled")
    rewards: list[RewardReply]


@router.get(
    "/members/{member_id}/referrals",
    operation_id="list_member_referrals",
    response_model=PageReply[ReferralReply],
    responses={
        404: {"description": "There is no such member"},
        503: {"description": "Whether there is such a member cannot be found out now"},
    },
)
async def list_member_referrals(
    member_id: MemberId,
    request: Request,
    state: StateQuery = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> PageReply[ReferralReply]:
    """Whom a member brought, newest first."""
    page = await _page(request, referrer_id=member_id, state=state, limit=limit, cursor=cursor)
    if not page.data:
        await refuse_unknown_member(request, member_id=member_id)
    return page


@router.get("/referrals", operation_id="list_referrals", response_model=PageReply[ReferralReply])
async def list_referrals(
    request: Request,
    state: StateQuery = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> PageReply[ReferralReply]:
    """All referrals, newest first."""
    return await _page(request, referrer_id=None, state=state, limit=limit, cursor=cursor)


@router.get(
    "/referrals/{referral_id}",
    operation_id="show_referral",
    response_model=ReferralReply,
    responses={404: {"description": "There is no such referral"}},
)
async def show_referral(referral_id: ReferralId, request: Request) -> ReferralReply:
    """One referral."""
    database: Database = request.app.state.database
    async with database.reading() as session:
        referral = await store.find(session, referral_id=referral_id)
        if referral is None:
            raise NotFound
        rewards = await reward_store.by_referral(session, [referral.id])
    return _reply(referral, rewards=rewards[referral.id])


async def _page(
    request: Request, *, referrer_id: str | None, state: str | None, limit: int, cursor: str | None
) -> PageReply[ReferralReply]:
    database: Database = request.app.state.database
    before = str(decode_cursor(cursor, str)[0]) if cursor else None
    async with database.reading() as session:
        rows = await store.list_referrals(
            session, referrer_id=referrer_id, state=state, before=before, limit=limit + 1
        )
        page = page_of(rows, limit=limit, mark=lambda row: encode_cursor(row.id))
        rewards = await reward_store.by_referral(session, [row.id for row in page.rows])
    return PageReply(
        data=[_reply(row, rewards=rewards[row.id]) for row in page.rows],
        next_cursor=page.next_cursor,
    )


def _reply(row: Referral, *, rewards: Sequence[Reward]) -> ReferralReply:
    reasons = [row.refusal] if row.refusal is not None else []
    return ReferralReply(
        id=row.id,
        referrer=row.referrer_id,
        referee=row.member_id,
        code=row.code,
        state=store.state_of(row),
        reasons=[*reasons, CAPPED] if row.referrer_capped else reasons,
        enrolled_at=row.enrolled_at,
        first_order_id=row.first_order_id,
        programme_version=row.programme_version,
        rewards=[_reward(reward) for reward in rewards],
    )


def _reward(row: Reward) -> RewardReply:
    ruled = reward_store.as_ruled(row)
    return RewardReply(
        id=row.id,
        stage=ruled.stage,
        role=ruled.role,
        beneficiary=row.beneficiary_id,
        amount_fen=row.amount_fen,
        state=ruled.state,
        voucher_id=row.voucher_id,
        voucher_state=reward_store.voucher_state_of(row),
        reason=row.reason,
    )
