"""Vouchers over HTTP: a member's, one, and its redemption."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import ConfigDict, Field

from services.loyalty.api.voucher_templates_shapes import (
    AmountFen,
    CapFen,
    Kind,
    PercentOff,
    TemplateRef,
    TemplateTitle,
    ThresholdFen,
    VoucherCode,
    VoucherRef,
)
from services.loyalty.domain.members import MemberNotFound
from services.loyalty.domain.vouchers import VoucherState, state_at
from services.loyalty.operations.vouchers import redeem_voucher
from services.loyalty.store import vouchers as store
from services.loyalty.store.vouchers import VoucherView
from shared.http.fields import (
    Fen,
    MemberId,
    MemberRef,
    OrderId,
    ReplyModel,
    RequestModel,
    VoucherId,
)
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.http.writes import KeyedWrite, Reply
from shared.kernel.errors import NotFound
from shared.kernel.paging import decode_cursor, encode_cursor, page_of

router = APIRouter(prefix="/v1", tags=["vouchers"])


class TemplateName(ReplyModel):
    """The template a voucher was issued from."""

    id: TemplateRef
    name: TemplateTitle


class VoucherSource(ReplyModel):
    """What a voucher was issued for: `referral_reward` and its id, `issue` and its line."""

    kind: Annotated[str, Field(description="`referral_reward` or `issue`")]
    id: Annotated[str, Field(description="The id of that reward, or of the issue and the member")]


class VoucherReply(ReplyModel):
    """A voucher. An unused one reads as `expired` from `expires_at` on."""

    id: VoucherRef
    code: VoucherCode
    member_id: MemberRef
    template: TemplateName
    kind: Kind
    amount_fen: AmountFen
    percent_off: PercentOff
    cap_fen: CapFen
    threshold_fen: ThresholdFen
    state: Annotated[
        VoucherState,
        Field(
            description="`issued`: unused; `held` by a reservation; `voided` or `frozen`: `reason` "
            "says why"
        ),
    ]
    valid_from: Annotated[datetime, Field(description="From when on it counts")]
    expires_at: Annotated[
        datetime, Field(description="The first moment at which it no longer counts")
    ]
    source: VoucherSource
    issued_at: datetime
    order_id: Annotated[str | None, Field(description="The order on which it was used")]
    order_fen: Annotated[int | None, Field(description="The amount on which it was used")]
    discount_fen: Annotated[int | None, Field(description="What it took off")]
    redeemed_at: Annotated[datetime | None, Field(description="When it was used")]
    reason: Annotated[str | None, Field(description="Why it was voided or frozen, as a code")]


class VoucherRedemption(RequestModel):
    """The order a voucher is used on."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"order_id": "SO-20261123-0001", "order_fen": 25900}]}
    )

    order_id: OrderId
    order_fen: Annotated[
        Fen, Field(description="What the goods that the voucher counts on cost, before it")
    ]


@router.get(
    "/members/{member_id}/vouchers",
    operation_id="list_member_vouchers",
    responses={404: {"description": "`member_not_found`"}},
)
async def list_member_vouchers(
    member_id: MemberId,
    request: Request,
    state: Annotated[VoucherState | None, Query(description="Only those in this state")] = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> PageReply[VoucherReply]:
    """A member's vouchers, newest first."""
    before = str(decode_cursor(cursor, str)[0]) if cursor else None
    now = request.app.state.clock.now()
    async with request.app.state.database.reading() as session:
        rows = await store.list_vouchers_of(
            session, member_id=member_id, state=state, now=now, before=before, limit=limit + 1
        )
        if not rows and not await store.member_exists(session, member_id=member_id):
            raise MemberNotFound
    page = page_of(rows, limit=limit, mark=lambda row: encode_cursor(row.voucher.id))
    return PageReply(
        data=[voucher_reply(row, now=now) for row in page.rows], next_cursor=page.next_cursor
    )


@router.get(
    "/vouchers/{voucher_id}",
    operation_id="show_voucher",
    responses={404: {"description": "`not_found`: no such voucher"}},
)
async def show_voucher(voucher_id: VoucherId, request: Request) -> VoucherReply:
    """One voucher."""
    async with request.app.state.database.reading() as session:
        view = await store.find_voucher(session, voucher_id=voucher_id)
    if view is None:
        raise NotFound
    return voucher_reply(view, now=request.app.state.clock.now())


@router.post(
    "/vouchers/{voucher_id}/redemption",
    operation_id="redeem_voucher",
    status_code=201,
    response_model=VoucherReply,
    responses={
        200: {"model": VoucherReply, "description": "This order had used it already"},
        404: {"description": "`not_found`: no such voucher"},
        409: {
            "description": "`voucher_already_redeemed`, `voucher_expired`, "
            "`voucher_not_yet_valid`, `voucher_voided`, `voucher_held`, `voucher_frozen`, "
            "`voucher_below_threshold`, `voucher_for_new_customers`, `voucher_exclusive`, "
            "`order_gone`, `order_of_another_member`, `already_recorded_differently`"
        },
    },
)
async def redeem(
    voucher_id: VoucherId, body: VoucherRedemption, request: Request, write: KeyedWrite
) -> Response:
    """Use a voucher on an order: once, whatever the concurrency."""
    now = request.app.state.clock.now()
    return await write.run(
        lambda transaction: redeem_voucher(
            transaction, voucher_id=voucher_id, order_id=body.order_id, order_fen=body.order_fen
        ),
        reply=lambda use: Reply(
            body=voucher_reply(use.view, now=now), status=200 if use.repeated else 201
        ),
    )


def voucher_reply(view: VoucherView, *, now: datetime) -> VoucherReply:
    """A voucher as callers see it at a moment."""
    voucher = view.voucher
    standing = store.standing_of(voucher)
    return VoucherReply(
        id=voucher.id,
        code=voucher.code,
        member_id=voucher.member_id,
        template=TemplateName(id=voucher.template_id, name=view.template_name),
        kind=standing.worth.kind,
        amount_fen=voucher.amount_fen,
        percent_off=voucher.percent_off,
        cap_fen=voucher.cap_fen,
        threshold_fen=voucher.threshold_fen,
        state=state_at(standing.state, expires_at=voucher.expires_at, now=now),
        valid_from=voucher.valid_from,
        expires_at=voucher.expires_at,
        source=VoucherSource(kind=voucher.source_kind, id=voucher.source_id),
        issued_at=voucher.issued_at,
        order_id=voucher.order_id,
        order_fen=voucher.order_fen,
        discount_fen=voucher.discount_fen,
        redeemed_at=voucher.redeemed_at,
        reason=voucher.reason,
    )
