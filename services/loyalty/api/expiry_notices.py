"""Notices of expiry over HTTP: for whoever delivers them, and whoever checks that they were."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import ConfigDict, Field

from services.loyalty.api.shapes import LotPart
from services.loyalty.domain.expiry_notices import NoticeState
from services.loyalty.operations.expiry_notices import Delivery, confirm_delivery, report_failure
from services.loyalty.operations.replies import noting
from services.loyalty.store.expiry_notices import NoticeView, list_notices
from services.loyalty.store.tables import ExpiryNotice, ExpiryNoticeFailure
from shared.http.fields import (
    Line,
    LongLine,
    LongReason,
    MemberId,
    MemberRef,
    Moment,
    NoticeId,
    ReplyModel,
    RequestModel,
)
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.http.writes import OpenWrite, Reply
from shared.kernel.paging import DEFAULT_PAGE, decode_cursor, encode_cursor, page_of

router = APIRouter(prefix="/v1/points/expiry_notices", tags=["points"])

_RECORDED: dict[int | str, dict[str, object]] = {
    404: {"description": "`not_found`: no such notice"},
    409: {"description": "`already_recorded_differently`"},
}


_CHANNEL: Final = "Which way it went, by the caller's own name"
Channel = Annotated[Line, Field(description=_CHANNEL)]


class DeliveryRequest(RequestModel):
    """How a notice reached the member. The receipt is the channel's own id of the message."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "channel": "wechat_subscribe_message",
                    "delivered_at": "2027-11-01T10:00:00+08:00",
                    "receipt": "msg-2177934001",
                }
            ]
        }
    )

    channel: Channel
    delivered_at: Annotated[
        Moment,
        Field(
            description="When it reached the member: after the notice was made and not ahead, give "
            "or take five minutes"
        ),
    ]
    receipt: Annotated[
        LongLine | None, Field(description="The channel's own id of the message")
    ] = None


class FailureRequest(RequestModel):
    """Why a channel could not deliver a notice."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"channel": "wechat_subscribe_message", "reason": "user_refused"}]
        }
    )

    channel: Channel
    reason: LongReason


NoticeRef = Annotated[str, Field(description="A notice's id")]


class DeliveryReply(ReplyModel):
    """A delivery on record. Only one that is `in_time` lets the points lapse."""

    notice_id: NoticeRef
    channel: Annotated[str | None, Field(description=_CHANNEL)]
    delivered_at: Annotated[datetime | None, Field(description="When it reached the member")]
    receipt: Annotated[str | None, Field(description="The channel's own id of the message")]
    in_time: Annotated[bool, Field(description="Whether that was by the notice's `deliver_by`")]


class FailureReply(ReplyModel):
    """A failure on record; another channel may still deliver the notice."""

    notice_id: NoticeRef
    channel: Annotated[str, Field(description=_CHANNEL)]
    reason: str
    failed_at: Annotated[datetime, Field(description="When it was reported")]


class NoticeReply(ReplyModel):
    """So many points of a member lapse at `expires_at`, if they are told by `deliver_by`."""

    id: NoticeRef
    member_id: MemberRef
    state: Annotated[
        NoticeState,
        Field(
            description="`announced`: to be delivered; `failed` on a channel, none has delivered"
            " it yet; `delivered`; `closed`: its day came before it was delivered"
        ),
    ]
    points: Annotated[int, Field(description="Points that lapse then")]
    expires_at: Annotated[datetime, Field(description="When they lapse")]
    deliver_by: Annotated[datetime, Field(description="The last moment at which a delivery counts")]
    announced_at: Annotated[datetime, Field(description="When the notice was made")]
    lots: Annotated[list[LotPart], Field(description="The lots that lapse; points are positive")]
    delivery: DeliveryReply | None
    failures: Annotated[list[FailureReply], Field(description="Channels that could not deliver it")]


@router.get("", operation_id="list_expiry_notices")
async def list_expiry_notices(
    request: Request,
    state: Annotated[NoticeState | None, Query(description="Only those in this state")] = None,
    member_id: Annotated[MemberId | None, Query(description="Only this member's")] = None,
    limit: LimitQuery = DEFAULT_PAGE,
    cursor: CursorQuery = None,
) -> PageReply[NoticeReply]:
    """Notices of expiry, newest first: to be delivered, or to be checked."""
    before = str(decode_cursor(cursor, str)[0]) if cursor else None
    async with request.app.state.database.reading() as session:
        rows = await list_notices(
            session, member_id=member_id, state=state, before=before, limit=limit + 1
        )
    page = page_of(rows, limit=limit, mark=lambda row: encode_cursor(row.notice.id))
    return PageReply(data=[_notice(row) for row in page.rows], next_cursor=page.next_cursor)


@router.post(
    "/{notice_id}/delivery",
    operation_id="confirm_notice_delivery",
    response_model=DeliveryReply,
    responses=_RECORDED,
)
async def confirm_notice_delivery(
    notice_id: NoticeId, body: DeliveryRequest, write: OpenWrite
) -> Response:
    """Confirm that a notice reached the member; it counts once. The same again: the same reply."""
    delivery = Delivery(channel=body.channel, delivered_at=body.delivered_at, receipt=body.receipt)
    return await write.run(
        lambda tx: noting(
            tx,
            confirm_delivery(tx, notice_id=notice_id, delivery=delivery),
            kept_under=write.kept_under,
            about=lambda notice: [notice.member_id],
        ),
        reply=lambda notice: Reply(body=_delivery(notice)),
    )


@router.post(
    "/{notice_id}/failure",
    operation_id="report_notice_failure",
    response_model=FailureReply,
    responses=_RECORDED,
)
async def report_notice_failure(
    notice_id: NoticeId, body: FailureRequest, write: OpenWrite
) -> Response:
    """Report that a channel could not deliver a notice; once per channel."""
    return await write.run(
        lambda tx: noting(
            tx,
            report_failure(tx, notice_id=notice_id, channel=body.channel, reason=body.reason),
            kept_under=write.kept_under,
            about=lambda failure: [failure.member_id],
        ),
        reply=lambda failure: Reply(body=_failure(failure)),
    )


def _notice(view: NoticeView) -> NoticeReply:
    notice = view.notice
    return NoticeReply(
        **notice.model_dump(
            include={
                "id", "member_id", "state", "points", "expires_at", "deliver_by", "announced_at",
            }
        ),
        lots=[LotPart(id=lot.lot_id, points=lot.points) for lot in view.lots],
        delivery=None if notice.delivered_at is None else _delivery(notice),
        failures=[_failure(failure) for failure in view.failures],
    )  # fmt: skip


def _delivery(notice: ExpiryNotice) -> DeliveryReply:
    delivered_at = notice.delivered_at
    return DeliveryReply(
        notice_id=notice.id,
        channel=notice.channel,
        delivered_at=delivered_at,
        receipt=notice.receipt,
        in_time=delivered_at is not None and delivered_at <= notice.deliver_by,
    )


def _failure(failure: ExpiryNoticeFailure) -> FailureReply:
    return FailureReply(
        notice_id=failure.notice_id,
        channel=failure.channel,
        reason=failure.reason,
        failed_at=failure.failed_at,
    )
