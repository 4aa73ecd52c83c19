"""Checkout over HTTP: quoted, reserved, released; the order captures."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field

from services.loyalty.api.checkout_reply import (
    QuoteReply,
    ReservationReply,
    quote_reply,
    reservation_reply,
)
from services.loyalty.domain.baskets import BasketLine, Choice
from services.loyalty.operations.checkout import reserve
from services.loyalty.operations.reservations import release
from services.loyalty.store.checkout import quote_for
from services.loyalty.store.reservations import find_reservation
from shared.http.fields import (
    MAX_POINTS,
    Category,
    Fen,
    MemberId,
    Quantity,
    RequestModel,
    ReservationId,
    Sku,
    VoucherId,
)
from shared.http.problems import request_language
from shared.http.writes import KeyedWrite, OpenWrite, Reply
from shared.kernel.errors import NotFound

router = APIRouter(prefix="/v1/checkout", tags=["checkout"])

_EXAMPLE: dict[str, Any] = {
    "member_id": "mem_01kb2q9y3v5n8r7t6w4x0z1c2d",
    "items": [{"sku": "SERUM-30ML", "category": "skincare", "quantity": 1, "amount_fen": 25900}],
    "voucher_ids": [],
    "points": 500,
}


class BasketLineRequest(RequestModel):
    """One line of the basket. `amount_fen` is for the whole line, before discounts."""

    sku: Sku
    category: Category | None = None
    quantity: Annotated[Quantity, Field(description="Pieces")]
    amount_fen: Annotated[Fen, Field(description="For the whole line, before discounts")]


class CheckoutRequest(RequestModel):
    """A basket, and what the member wants to use on it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    member_id: MemberId
    items: Annotated[
        list[BasketLineRequest],
        Field(min_length=1, max_length=200, description="The lines of the basket"),
    ]
    voucher_ids: Annotated[
        list[VoucherId], Field(max_length=20, description="Vouchers to use on it together")
    ] = []
    points: Annotated[int, Field(ge=0, le=MAX_POINTS, description="Points to use on it")] = 0

    def lines(self) -> tuple[BasketLine, ...]:
        """The basket as the domain knows it."""
        return tuple(BasketLine(**item.model_dump()) for item in self.items)

    def choice(self) -> Choice:
        """What was chosen; a voucher named twice is used once."""
        return Choice(voucher_ids=tuple(dict.fromkeys(self.voucher_ids)), points=self.points)


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
    return quote_reply(found.quote, expires_at=found.expires_at, language=request_language(request))


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
        reply=lambda reservation: Reply(body=reservation_reply(reservation), status=201),
    )


@router.get(
    "/reservations/{reservation_id}",
    operation_id="show_reservation",
    response_model=ReservationReply,
    responses={404: {"description": "`not_found`: no such reservation"}},
)
async def show_reservation(reservation_id: ReservationId, request: Request) -> ReservationReply:
    """A reservation as it stands."""
    async with request.app.state.database.reading() as session:
        reservation = await find_reservation(session, reservation_id=reservation_id)
    if reservation is None:
        raise NotFound
    return reservation_reply(reservation)


@router.delete(
    "/reservations/{reservation_id}",
    operation_id="release_reservation",
    status_code=204,
    responses={
        404: {"description": "`not_found`: no such reservation"},
        409: {"description": "`reservation_closed`: an order has captured it"},
    },
)
async def release_reservation(reservation_id: ReservationId, write: OpenWrite) -> Response:
    """Give everything back that a reservation holds; once more does no harm."""
    return await write.run(
        lambda tx: release(tx, reservation_id=reservation_id),
        reply=lambda _: Reply(body=None, status=204),
    )
