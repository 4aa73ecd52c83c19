"""Imports of points over HTTP: the upload, how far it is, and its refused lines."""

from typing import Annotated, Final

from fastapi import APIRouter, Request, Response
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
from services.loyalty.api.imports_lines_points import POINTS_LINES
from services.loyalty.api.imports_reply import (
    LINE_CODES,
    Detail,
    ImportReply,
    LineNumber,
    Pointer,
    error_detail,
)
from services.loyalty.operations.imports import ImportTerms
from services.loyalty.operations.imports_points import take_points
from services.loyalty.store.tables import Import, ImportRefusal
from shared.http.access import CurrentPrincipal
from shared.http.fields import ReplyModel
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.http.writes import IdempotencyKeyHeader

router = APIRouter(prefix="/v1/points/imports", tags=["points"])

_NDJSON_EXAMPLE: Final = (
    '{"kind":"balance","reference":"OLD-1","identity_value":"customer-1","points":1200,'
    '"expires_at":"2027-12-31T16:00:00Z"}\n'
    '{"kind":"earned","reference":"OLD-2","identity_value":"customer-2","points":300,'
    '"occurred_at":"2026-01-05T10:00:00+08:00"}\n'
    '{"kind":"redeemed","reference":"OLD-3","identity_value":"customer-2","points":100,'
    '"occurred_at":"2026-03-08T09:30:00+08:00","reason":"礼品兑换"}\n'
)
_CSV_EXAMPLE: Final = (
    "kind,reference,identity_kind,identity_value,points,occurred_at,expires_at\n"
    "balance,OLD-1,phone,13800001234,1200,,2027-12-31T16:00:00Z\n"
    "earned,OLD-2,phone,13900005678,300,2026-01-05T10:00:00+08:00,\n"
)


class PointsImportReply(ImportReply):
    """An import of points and how far it is."""

    movements: Annotated[int, Field(description="Movements that were posted")]


class RefusedPointsLine(ReplyModel):
    """A line that was not taken, and why. The line itself is not kept."""

    line: LineNumber
    reference: Annotated[
        str | None, Field(description="Its reference; null if the line could not be read")
    ]
    code: Annotated[
        str,
        Field(
            description=f"{LINE_CODES}. Of points: `points_zero`, `points_negative`, "
            "`not_for_this_movement`, `occurred_in_future`, `expires_before_available`, "
            "`expires_in_past`, `insufficient_points`, `balance_limit_reached`, "
            "`already_recorded_differently` (the reference is on record with other facts)"
        ),
    ]
    pointer: Pointer
    detail: Detail


@router.post(
    "",
    operation_id="import_points",
    status_code=201,
    response_model=PointsImportReply,
    response_class=NdjsonReply,
    responses=UPLOAD_RESPONSES,
    openapi_extra=body_of(ndjson=_NDJSON_EXAMPLE, csv=_CSV_EXAMPLE),
)
async def import_points(
    request: Request,
    principal: CurrentPrincipal,
    enrol: EnrolQuery = True,
    idempotency_key: IdempotencyKeyHeader = None,
) -> Response:
    """Upload opening balances and past movements of points, as NDJSON or CSV with a header line.

    Each line has a `kind`, a `reference` that counts once per member for ever, `points`, and its
    member by `member_id` or by `identity_value` (with `identity_kind`, by default `external`).

    `balance` is an opening balance: points that lapse at `expires_at`, or by the programme, and
    wait until `available_at` if that is still to come. Debt is repaid first. A negative one takes
    what is available and leaves the rest as debt. `earned`, `redeemed`, `expired` and `adjusted`
    (with a sign) are movements of the past, posted in the order of the file with their
    `occurred_at`; they take only points that imports brought, and what would leave less than
    nothing of these is refused. What they leave lapses as it would have, but not within 30 days
    from now.

    The reply is NDJSON and begins while the file is still being read: each line is the import as
    it stands, the last one as it ended. A line that cannot be taken is refused by itself. A broken
    upload keeps what was taken; sending the file again goes on from there.
    """
    vault = request.app.state.vault
    door = ImportDoor(
        lines=POINTS_LINES,
        take=lambda transaction, row, batch: take_points(
            transaction, upload=row, batch=batch, vault=vault
        ),
        show=lambda row: _reply(row, request),
    )
    terms = ImportTerms(kind="points", enrol=enrol)
    return await door.upload(request, principal=principal, key=idempotency_key, terms=terms)


@router.get(
    "/{import_id}",
    operation_id="show_points_import",
    responses={404: {"description": "`not_found`: no such import"}},
)
async def show_points_import(import_id: ImportId, request: Request) -> PointsImportReply:
    """How far an import is, or how it ended."""
    return _reply(await import_of(request, import_id=import_id, kind="points"), request)


@router.get(
    "/{import_id}/refusals",
    operation_id="list_points_import_refusals",
    responses={404: {"description": "`not_found`: no such import"}},
)
async def list_points_import_refusals(
    import_id: ImportId, request: Request, limit: LimitQuery = 50, cursor: CursorQuery = None
) -> PageReply[RefusedPointsLine]:
    """Lines that were not taken, by line number; the first 10,000 of an import are kept."""
    page = await refusals_of(
        request, import_id=import_id, kind="points", limit=limit, cursor=cursor
    )
    return PageReply(
        data=[_refused_line(row, request) for row in page.rows], next_cursor=page.next_cursor
    )


def _reply(row: Import, request: Request) -> PointsImportReply:
    told = {"movements": row.taken, "error_detail": error_detail(row, request)}
    return PointsImportReply.model_validate({**row.model_dump(), **told})


def _refused_line(row: ImportRefusal, request: Request) -> RefusedPointsLine:
    return RefusedPointsLine(
        line=row.line,
        reference=row.reference,
        code=row.code,
        pointer=row.pointer,
        detail=reason_of(row, request),
    )
