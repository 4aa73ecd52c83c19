"""Checkout over HTTP: quoted, reserved, released; the order captures."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field

from services.loyalty.domain.checkout import BasketLine, Choice, Combination, Quote
from services.loyalty.operations.checkout import release, reserve
from services.loyalty.store.checkout import quote_for
from services.loyalty.store.reservations import find_reservation
from services.loyalty.store.tables import Reservation
from shared.http.fields import (
    MAX_POINTS,
    ExternalId,
    Fen,
    Line,
    MemberId,
    Quantity,
    ReplyModel,
    RequestModel,
    ReservationId,
    VoucherId,
)
from shared.http.problems import request_language
from shared.http.writes import KeyedWrite, OpenWrite, Reply
from shared.kernel.errors import NotFound
from shared.kernel.money import yuan_text
from shared.kernel.texts import Language, text

router = APIRouter(prefix="/v1/checkout", tags=["checkout"])

_EXAMPLE: dict[str, Any] = {
    "member_id": "mem_01kb2q9y3v5n8r7t6w4x0z1c2d",
    "items": [{"sku": "SERUM-30ML", "category": "skincare", "quantity": 1, "amount_fen": 25900}],
    "voucher_ids": [],
    "points": 500,
}


class BasketLineRequest(RequestModel):
    """One line of the basket. `amount_fen` is for the whole line, before discounts."""

    sku: ExternalId
    category: Line | None = None
    quantity: Quantity
    amount_fen: Fen


class CheckoutRequest(RequestModel):
    """A basket, and what the member wants to use on it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    member_id: MemberId
    items: Annotated[list[BasketLineRequest], Field(min_length=1, max_length=200)]
    voucher_ids: Annotated[list[VoucherId], Field(max_length=20)] = []
    points: Annotated[int, Field(ge=0, le=MAX_POINTS)] = 0

    def lines(self) -> tuple[BasketLine, ...]:
        """The basket as the domain knows it."""
        return tuple(BasketLine(**item.model_dump()) for item in self.items)

    def choice(self) -> Choice:
        """What was chosen; a voucher named twice is used once."""
        return Choice(voucher_ids=tuple(dict.fromkeys(self.voucher_ids)), points=self.points)


class ReasonReply(ReplyModel):
    """Why a voucher does not count, as a code and in words."""

    code: str
    detail: str


class VoucherQuote(ReplyModel):
    """Whether a voucher counts on this basket by itself, and what it would take off."""

    id: str
    usable: bool
    discount_fen: int
    reasons: list[ReasonReply]
    gap_fen: Annotated[int, Field(description="What the basket lacks for it to count")]


class PointsQuote(ReplyModel):
    """How many points may be used, and what the chosen ones are worth."""

    max_usable: int
    used: int
    value_fen: int


class CombinationReply(ReplyModel):
    """Vouchers used together."""

    voucher_ids: list[str]
    discount_fen: int


class QuoteReply(ReplyModel):
    """The price of a basket with what was chosen; nothing is held."""

    payable_fen: int
    discount_fen: int
    vouchers: list[VoucherQuote]
    points: PointsQuote
    best: CombinationReply
    expires_at: Annotated[datetime, Field(description="Ask again after this")]


class PointsHeld(ReplyModel):
    """Points that are held, and what they are worth."""

    used: int
    value_fen: int


class ReservationReply(ReplyModel):
    """What a checkout holds, until an order captures it or its time is over."""

    id: str
    member_id: str
    state: str
    payable_fen: int
    discount_fen: int
    voucher_ids: list[str]
    points: PointsHeld
    order_id: str | None
    created_at: datetime
    expires_at: datetime


@router.post(
    "/quotes",
    operation_id="quote_checkout",
    response_model=QuoteReply,
    responses={
        404: {"description": "`member_not_found`"},
        409: {"description": "`voucher_not_usable`, `points_not_usable`"},
    },
)
async def quote_checkout(body: CheckoutRequest, request: Request) -> QuoteReply:
    """Price a basket: which vouchers count and why not, how many points, the best combination."""
    now = request.app.state.clock.now()
    async with request.app.state.database.reading() as session:
        found = await quote_for(
            session, member_id=body.member_id, lines=body.lines(), choice=body.choice(), now=now
        )
    return _quote_reply(
        found.quote, expires_at=found.expires_at, language=request_language(request)
    )


@router.post(
    "/reservations",
    operation_id="reserve_checkout",
    status_code=201,
    response_model=ReservationReply,
    responses={
        404: {"description": "`member_not_found`"},
        409: {
            "description": "`voucher_not_usable`, `points_not_usable`, `insufficient_points`,"
            " `member_merged`"
        },
    },
)
async def reserve_checkout(body: CheckoutRequest, write: KeyedWrite) -> Response:
    """Hold the chosen vouchers and points together; the order that names it uses them up."""
    return await write.run(
        lambda tx: reserve(tx, member_id=body.member_id, lines=body.lines(), choice=body.choice()),
        reply=lambda reservation: Reply(body=_reservation_reply(reservation), status=201),
    )


@router.get(
    "/reservations/{reservation_id}",
    operation_id="show_reservation",
    response_model=ReservationReply,
    responses={404: {"description": "No such reservation"}},
)
async def show_reservation(reservation_id: ReservationId, request: Request) -> ReservationReply:
    """A reservation as it stands."""
    async with request.app.state.database.reading() as session:
        reservation = await find_reservation(session, reservation_id=reservation_id)
    if reservation is None:
        raise NotFound
    return _reservation_reply(reservation)


@router.delete(
    "/reservations/{reservation_id}",
    operation_id="release_reservation",
    status_code=204,
    responses={
        404: {"description": "No such reservation"},
        409: {"description": "`reservation_closed`: an order has captured it"},
    },
)
async def release_reservation(reservation_id: ReservationId, write: OpenWrite) -> Response:
    """Give everything back that a reservation holds; once more does no harm."""
    return await write.run(
        lambda tx: release(tx, reservation_id=reservation_id),
        reply=lambda _: Reply(body=None, status=204),
    )


def _quote_reply(found: Quote, *, expires_at: datetime, language: Language) -> QuoteReply:
    return QuoteReply(
        payable_fen=found.payable_fen,
        discount_fen=found.chosen.discount_fen,
        vouchers=[
            VoucherQuote(
                id=verdict.id,
                usable=verdict.usable,
                discount_fen=verdict.discount_fen,
                reasons=[
                    _reason(code, gap_fen=verdict.gap_fen, language=language)
                    for code in verdict.reasons
                ],
                gap_fen=verdict.gap_fen,
            )
            for verdict in found.verdicts
        ],
        points=PointsQuote(
            max_usable=found.max_points, used=found.points, value_fen=found.points_value_fen
        ),
        best=_combination(found.best),
        expires_at=expires_at,
    )


def _reason(code: str, *, gap_fen: int, language: Language) -> ReasonReply:
    facts = {"gap_yuan": yuan_text(gap_fen)}
    return ReasonReply(
        code=code, detail=text(f"checkout_reason.{code}", language=language, facts=facts)
    )


def _combination(found: Combination) -> CombinationReply:
    return CombinationReply(voucher_ids=list(found.voucher_ids), discount_fen=found.discount_fen)


def _reservation_reply(reservation: Reservation) -> ReservationReply:
    return ReservationReply(
        id=reservation.id,
        member_id=reservation.member_id,
        state=reservation.state,
        payable_fen=reservation.payable_fen,
        discount_fen=reservation.discount_fen,
        voucher_ids=[one["id"] for one in reservation.vouchers],
        points=PointsHeld(used=reservation.points, value_fen=reservation.points_value_fen),
        order_id=reservation.order_id,
        created_at=reservation.created_at,
        expires_at=reservation.expires_at,
    )
