"""Orders over HTTP: recorded, completed, shown."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field

from services.loyalty.api.examples import ORDER, shown
from services.loyalty.api.orders_reply import (
    OrderDetail,
    OrderReply,
    WaitingReply,
    order_lines,
    order_reply,
)
from services.loyalty.domain.moments import refuse_future
from services.loyalty.domain.orders import (
    CompletionFacts,
    OrderFacts,
    OrderItem,
    as_first_told,
)
from services.loyalty.operations.orders import (
    Completion,
    RecordedOrder,
    complete_order,
    record_order,
)
from services.loyalty.store.orders import find_record
from shared.db import Transaction
from shared.http.fields import (
    Category,
    DeviceId,
    ExternalId,
    Fen,
    Line,
    MemberId,
    Moment,
    OrderId,
    Quantity,
    RequestModel,
    Sku,
)
from shared.http.hot import HotKeyedWrite
from shared.http.hot_routes import HotRoute
from shared.http.problems import request_language
from shared.http.writes import Reply
from shared.kernel.errors import NotFound
from shared.kernel.texts import Language

router = APIRouter(prefix="/v1/orders", tags=["orders"])
hot_router = APIRouter(prefix="/v1/orders", tags=["orders"], route_class=HotRoute)


class ItemRequest(RequestModel):
    """One line of an order or refund. `paid_fen` is for the whole line."""

    sku: Sku
    category: Category | None = None
    quantity: Annotated[Quantity, Field(description="Pieces")]
    paid_fen: Annotated[
        Fen, Field(description="Paid for the whole line, or going back for these pieces of it")
    ]


class OrderRequest(RequestModel):
    """A paid order. `paid_fen` is what was paid in cash, after all discounts."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "order_id": "SO-20261123-0001",
                    "member_id": "mem_01kb2q9y3v5n8r7t6w4x0z1c2d",
                    "paid_fen": 25900,
                    "discount_fen": 2000,
                    "items": [
                        {
                            "sku": "SERUM-30ML",
                            "category": "skincare",
                            "quantity": 1,
                            "paid_fen": 25900,
                        }
                    ],
                    "channel": "mini_program",
                    "paid_at": "2026-11-23T12:00:00+08:00",
                }
            ]
        }
    )

    order_id: OrderId
    member_id: MemberId
    paid_fen: Annotated[Fen, Field(description="Paid in cash, after all discounts")]
    discount_fen: Annotated[
        Fen, Field(description="Taken off the price; with `paid_fen` it is the gross")
    ] = 0
    items: Annotated[
        list[ItemRequest],
        Field(max_length=200, description="The lines; only these can be refunded by line"),
    ]
    channel: Annotated[
        Line | None, Field(description="Where it was bought, by the caller's own name")
    ] = None
    paid_at: Annotated[Moment, Field(description="When it was paid; at most five minutes ahead")]
    reservation_id: Annotated[
        ExternalId | None, Field(description="The checkout reservation that this order captures")
    ] = None
    device_id: DeviceId | None = None
    payer_id: Annotated[
        Line | None, Field(description="Who paid; kept as a keyed hash, to find shared payers")
    ] = None


class CompletionRequest(RequestModel):
    """When the customer confirmed receipt, 确认收货."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"completed_at": "2026-11-25T18:30:00+08:00"}]}
    )

    completed_at: Annotated[
        Moment, Field(description="When receipt was confirmed; at most five minutes ahead")
    ]


@hot_router.post(
    "",
    operation_id="record_order",
    status_code=201,
    response_model=OrderReply,
    responses={
        201: shown(ORDER),
        200: {"model": OrderReply, "description": "The order was recorded before: the first reply"},
        404: {"description": "`member_not_found`"},
        409: {
            "description": "`already_recorded_differently`, `member_merged`, "
            "`reservation_unknown`, `reservation_closed`, `balance_limit_reached`"
        },
    },
)
async def record_order_route(
    body: OrderRequest, write: HotKeyedWrite, request: Request
) -> Response:
    """Record a paid order: points are pending until it is completed, growth and tier count at once.

    An order id counts once, whatever the key: the same facts again get the first reply, others 409.
    """
    state = request.app.state
    refuse_future(body.paid_at, now=state.clock.now(), pointer="/paid_at")
    facts = _facts(body, payer_hash=state.vault.hash_payer(body.payer_id))
    language = request_language(request)

    async def ordinary(transaction: Transaction) -> RecordedOrder:
        return await record_order(transaction, facts=facts)

    def reply(recorded: RecordedOrder) -> Reply:
        return _recorded(recorded, language=language)

    if facts.reservation_id is not None:
        return await write.ordinary(ordinary, reply=reply)
    return await write.run(state.orders, facts, reply=reply, otherwise=ordinary)


@router.get(
    "/{order_id}",
    operation_id="show_order",
    response_model=OrderDetail,
    responses={404: {"description": "`not_found`: no such order"}},
)
async def show_order(order_id: OrderId, request: Request) -> OrderDetail:
    """An order as it stands now, with its lines."""
    async with request.app.state.database.reading() as session:
        record = await find_record(session, order_id=order_id)
    if record.order is None:
        raise NotFound
    now, language = request.app.state.clock.now(), request_language(request)
    reply = order_reply(record.order, now=now, language=language)
    return OrderDetail(**reply.model_dump(), items=order_lines(record))


@hot_router.post(
    "/{order_id}/completion",
    operation_id="complete_order",
    response_model=OrderReply,
    responses={
        202: {"model": WaitingReply, "description": "The order is unknown: this waits for it"},
        409: {"description": "`already_recorded_differently`"},
    },
)
async def complete_order_route(
    order_id: OrderId, body: CompletionRequest, write: HotKeyedWrite, request: Request
) -> Response:
    """The order was received: its points become available when the hold is over.

    It may come before its order, and after all of it went back, when it changes nothing else.
    """
    now, language = request.app.state.clock.now(), request_language(request)
    refuse_future(body.completed_at, now=now, pointer="/completed_at")
    facts = CompletionFacts(order_id=order_id, completed_at=body.completed_at)
    return await write.run(
        request.app.state.completions,
        facts,
        reply=lambda completion: _completed(completion, now=now, language=language),
        otherwise=lambda tx: complete_order(tx, facts=facts),
    )


def _completed(completion: Completion, *, now: datetime, language: Language) -> Reply:
    if completion.order is None:
        waiting = WaitingReply(order_id=completion.order_id, completed_at=completion.completed_at)
        return Reply(body=waiting, status=202)
    return Reply(body=order_reply(completion.order, now=now, language=language))


def _recorded(recorded: RecordedOrder, *, language: Language) -> Reply:
    """The reply to a report of an order: always what the first one told."""
    first = as_first_told(recorded.order) if recorded.repeated else recorded.order
    return Reply(
        body=order_reply(first, now=first.recorded_at, language=language),
        status=200 if recorded.repeated else 201,
    )


def _facts(body: OrderRequest, *, payer_hash: str | None) -> OrderFacts:
    return OrderFacts(
        order_id=body.order_id,
        member_id=body.member_id,
        paid_fen=body.paid_fen,
        discount_fen=body.discount_fen,
        items=items_of(body.items),
        channel=body.channel,
        reservation_id=body.reservation_id,
        device_id=body.device_id,
        payer_hash=payer_hash,
        paid_at=body.paid_at,
    )


def items_of(given: list[ItemRequest]) -> tuple[OrderItem, ...]:
    """Lines as the domain knows them."""
    return tuple(
        OrderItem(
            sku=item.sku, category=item.category, quantity=item.quantity, paid_fen=item.paid_fen
        )
        for item in given
    )
