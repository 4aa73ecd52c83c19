"""Imports of order history over HTTP: the upload, how far it is, and its refused lines."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from services.loyalty.api.imports_door import (
    UPLOAD_RESPONSES,
    EnrolQuery,
    ImportDoor,
    ImportId,
    NdjsonReply,
    body_of,
    import_of,
    reason_of,
    refusals_of,
)
from services.loyalty.api.imports_lines_orders import ORDER_LINES
from services.loyalty.api.imports_reply import (
    LINE_CODES,
    Detail,
    ImportReply,
    LineNumber,
    Pointer,
    error_detail,
)
from services.loyalty.operations.imports import ImportTerms
from services.loyalty.operations.imports_orders import take_orders
from services.loyalty.store.tables import Import, ImportRefusal
from shared.http.access import CurrentPrincipal
from shared.http.fields import ReplyModel
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.http.writes import IdempotencyKeyHeader

router = APIRouter(prefix="/v1/orders/imports", tags=["orders"])

_NDJSON_EXAMPLE: Final = (
    '{"order_id":"SO-1","identity_value":"customer-1","paid_fen":25900,'
    '"paid_at":"2026-01-05T10:00:00+08:00","completed_at":"2026-01-09T10:00:00+08:00"}\n'
)
_CSV_EXAMPLE: Final = (
    "order_id,identity_kind,identity_value,paid_fen,refunded_fen,paid_at,completed_at\n"
    "SO-2,phone,13800001234,25900,,2026-01-05T10:00:00+08:00,2026-01-09T10:00:00+08:00\n"
)

EarnQuery = Annotated[
    bool,
    Query(description="Whether the orders earn points and growth under the programme in force now"),
]


class OrderImportReply(ImportReply):
    """An import of orders and how far it is."""

    orders: Annotated[int, Field(description="Orders that were recorded")]
    earn: Annotated[bool, Field(description="Whether they earn points and growth")]


class RefusedOrderLine(ReplyModel):
    """A line that was not taken, and why. The line itself is not kept."""

    line: LineNumber
    order_id: Annotated[
        str | None, Field(description="The order it names; null if the line could not be read")
    ]
    code: Annotated[
        str,
        Field(
            description=f"{LINE_CODES}. Of orders: `refunded_above_paid`, `completed_before_paid`, "
            "`occurred_in_future`, `recorded_differently` (the order is on record with other "
            "facts), `balance_limit_reached`"
        ),
    ]
    pointer: Pointer
    detail: Detail


@router.post(
    "",
    operation_id="import_orders",
    status_code=201,
    response_model=OrderImportReply,
    response_class=NdjsonReply,
    responses=UPLOAD_RESPONSES,
    openapi_extra=body_of(ndjson=_NDJSON_EXAMPLE, csv=_CSV_EXAMPLE),
)
async def import_orders(
    request: Request,
    principal: CurrentPrincipal,
    earn: EarnQuery = False,
    enrol: EnrolQuery = True,
    idempotency_key: IdempotencyKeyHeader = None,
) -> Response:
    """Upload an order history, as NDJSON or CSV with a header line.

    Each line names an order: `order_id`, `paid_fen`, `paid_at`, optionally `refunded_fen` and
    `completed_at`, and its member by `member_id` or by `identity_value` (with `identity_kind`, by
    default `external`); whoever is unknown is enrolled. History counts for RFM. It earns no points
    and no growth, unless `earn` asks for it: then what was kept of each order earns, in the order
    of the file, under the programme in force now and the tier that the member stands in. Points
    wait for completion and hold, as ever; an order without `completed_at` waits to be completed.
    They lapse as they would have, but not within 30 days from now.

    The reply is NDJSON and begins while the file is still being read: each line is the import as
    it stands, the last one as it ended. A line that cannot be taken is refused by itself. A broken
    upload keeps what was taken; sending the file again goes on from there.
    """
    vault = request.app.state.vault
    door = ImportDoor(
        lines=ORDER_LINES,
        take=lambda transaction, row, batch: take_orders(
            transaction, upload=row, batch=batch, vault=vault
        ),
        show=lambda row: _reply(row, request),
    )
    terms = ImportTerms(kind="orders", earn=earn, enrol=enrol)
    return await door.upload(request, principal=principal, key=idempotency_key, terms=terms)


@router.get(
    "/{import_id}",
    operation_id="show_order_import",
    responses={404: {"description": "`not_found`: no such import"}},
)
async def show_order_import(import_id: ImportId, request: Request) -> OrderImportReply:
    """How far an import is, or how it ended."""
    return _reply(await import_of(request, import_id=import_id, kind="orders"), request)


@router.get(
    "/{import_id}/refusals",
    operation_id="list_order_import_refusals",
    responses={404: {"description": "`not_found`: no such import"}},
)
async def list_order_import_refusals(
    import_id: ImportId, request: Request, limit: LimitQuery = 50, cursor: CursorQuery = None
) -> PageReply[RefusedOrderLine]:
    """Lines that were not taken, by line number; the first 10,000 of an import are kept."""
    page = await refusals_of(
        request, import_id=import_id, kind="orders", limit=limit, cursor=cursor
    )
    return PageReply(
        data=[_refused_line(row, request) for row in page.rows], next_cursor=page.next_cursor
    )


def _reply(row: Import, request: Request) -> OrderImportReply:
    told = {"orders": row.taken, "error_detail": error_detail(row, request)}
    return OrderImportReply.model_validate({**row.model_dump(), **told})


def _refused_line(row: ImportRefusal, request: Request) -> RefusedOrderLine:
    return RefusedOrderLine(
        line=row.line,
        order_id=row.reference,
        code=row.code,
        pointer=row.pointer,
        detail=reason_of(row, request),
    )
