"""Transfers of points between members over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field

from services.loyalty.api.shapes import BalancesReply, LotPart, balances_reply
from services.loyalty.operations.replies import noting
from services.loyalty.operations.transfers import Transferred, transfer_points
from services.loyalty.store.tables import Transfer
from services.loyalty.store.transfers import find_transfer
from shared.http.fields import (
    MemberId,
    Points,
    Reason,
    RecordedAt,
    ReplyModel,
    RequestModel,
    TransferId,
)
from shared.http.writes import KeyedWrite, Reply
from shared.kernel.errors import NotFound

router = APIRouter(prefix="/v1", tags=["points"])


class TransferRequest(RequestModel):
    """Points to give, and to whom."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"to_member_id": "mem_01kb0t6v3mvc8qd2x5n7h9r4em", "points": 200, "reason": "送礼"}
            ]
        }
    )

    to_member_id: Annotated[MemberId, Field(description="The member who gets them")]
    points: Annotated[Points, Field(description="How many to give")]
    reason: Reason | None = None


class TransferReply(ReplyModel):
    """Points that one member (`member_id`) gave another."""

    id: Annotated[str, Field(description="A transfer's id")]
    member_id: Annotated[str, Field(description="The member who gave them")]
    to_member_id: Annotated[str, Field(description="The member who got them")]
    points: int
    reason: str | None
    created_at: RecordedAt


class NewTransferReply(TransferReply):
    """Points just given; of the sender, what is left and the lots that paid."""

    balances: BalancesReply
    lots: Annotated[list[LotPart], Field(description="The lots that paid")]


@router.post(
    "/members/{member_id}/points/transfers",
    operation_id="transfer_points",
    status_code=201,
    response_model=NewTransferReply,
    responses={
        404: {"description": "`member_not_found`, `recipient_not_found`"},
        409: {
            "description": "`insufficient_points`, `points_cooling`, `transfer_limit_reached`, "
            "`transfer_count_reached`, `transfer_too_small`, `transfers_disabled`, "
            "`member_merged`, `recipient_merged`, `balance_limit_reached`"
        },
        422: {"description": "`transfer_to_self`"},
    },
)
async def transfer_points_route(
    member_id: MemberId, body: TransferRequest, write: KeyedWrite
) -> Response:
    """Give points to another member; they keep the day on which they lapse.

    The programme says how many points and transfers a member may send on a business day (by default
    5,000 and 10), the least of one transfer (1), and for how long points that came by transfer
    cannot be passed on (24 hours).
    """
    return await write.run(
        lambda tx: noting(
            tx,
            transfer_points(
                tx,
                member_id=member_id,
                to_member_id=body.to_member_id,
                points=body.points,
                reason=body.reason,
            ),
            kept_under=write.kept_under,
            about=lambda _: [member_id, body.to_member_id] if body.reason else [],
        ),
        reply=_new,
    )


@router.get(
    "/points/transfers/{transfer_id}",
    operation_id="show_transfer",
    response_model=TransferReply,
    responses={404: {"description": "`not_found`: no such transfer"}},
)
async def show_transfer(transfer_id: TransferId, request: Request) -> TransferReply:
    """One transfer."""
    async with request.app.state.database.reading() as session:
        transfer = await find_transfer(session, transfer_id=transfer_id)
    if transfer is None:
        raise NotFound
    return TransferReply(**_fields(transfer))


def _new(made: Transferred) -> Reply:
    body = NewTransferReply(
        **_fields(made.transfer),
        balances=balances_reply(made.balances),
        lots=[LotPart(id=part.lot_id, points=part.points) for part in made.lots],
    )
    return Reply(body=body, status=201)


def _fields(transfer: Transfer) -> dict[str, Any]:
    return transfer.model_dump(include=set(TransferReply.model_fields))
