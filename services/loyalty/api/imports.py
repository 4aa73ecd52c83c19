"""Imports of order history over HTTP: the upload, how far it is, and its refused lines."""

import contextlib
import hashlib
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import Field
from starlette.requests import ClientDisconnect

from services.loyalty.api.imports_lines import CSV, NDJSON, reader_of
from services.loyalty.api.imports_reply import ImportReply, UploadReply, import_reply
from services.loyalty.api.imports_upload import MAX_BYTES, SILENCE_S, Upload, hurried
from services.loyalty.operations.imports import OpenImport, open_import
from services.loyalty.store import imports as store
from services.loyalty.store.tables import OrderImportRefusal
from shared.http.access import CurrentPrincipal
from shared.http.fields import ReplyModel, id_pattern
from shared.http.paging import CursorQuery, LimitQuery, PageReply
from shared.http.problems import request_language
from shared.http.writes import IdempotencyKeyHeader, IdempotencyKeyMissing, IdempotencyKeyReused
from shared.kernel.errors import NotFound, Refusal, RefusalKind
from shared.kernel.paging import decode_cursor, encode_cursor, page_of
from shared.kernel.texts import Language, text

router = APIRouter(prefix="/v1/orders/imports", tags=["orders"])

ImportId = Annotated[str, Field(pattern=id_pattern("imp"))]

_NDJSON_EXAMPLE: Final = (
    '{"order_id":"SO-1","identity_value":"customer-1","paid_fen":25900,'
    '"paid_at":"2026-01-05T10:00:00+08:00"}\n'
)
_CSV_EXAMPLE: Final = (
    "order_id,identity_kind,identity_value,paid_fen,refunded_fen,paid_at\n"
    "SO-1,phone,13800001234,25900,,2026-01-05T10:00:00+08:00\n"
)
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            NDJSON: {"schema": {"type": "string"}, "example": _NDJSON_EXAMPLE},
            CSV: {"schema": {"type": "string"}, "example": _CSV_EXAMPLE},
        },
    }
}


class UnsupportedMediaType(Refusal):
    """The file is neither NDJSON nor CSV, or it is compressed."""

    code = "unsupported_media_type"
    kind = RefusalKind.wrong_media_type


class BodyTooLarge(Refusal):
    """The file is larger than one import takes."""

    code = "body_too_large"
    kind = RefusalKind.too_large


class RefusedLine(ReplyModel):
    """A line that was not taken, and why. The line itself is not kept."""

    line: int
    order_id: str | None
    code: str
    pointer: str | None
    detail: str


@router.post(
    "",
    operation_id="import_orders",
    status_code=201,
    response_model=ImportReply,
    responses={
        201: {"content": {NDJSON: {}}, "description": "The import's state, a line at each step"},
        409: {"description": "An upload under this key goes on"},
        413: {"description": "Larger than 512 MiB"},
        415: {"description": "Neither NDJSON nor CSV"},
        422: {"description": "The key was used with another file"},
    },
    openapi_extra=_BODY,
)
async def import_orders(
    request: Request,
    principal: CurrentPrincipal,
    idempotency_key: IdempotencyKeyHeader = None,
) -> Response:
    """Upload an order history, as NDJSON or CSV with a header line.

    Each line names an order: `order_id`, `paid_fen`, `paid_at`, optionally `refunded_fen`, and its
    member by `member_id` or by `identity_value` (with `identity_kind`, by default `external`);
    whoever is unknown is enrolled. History counts for RFM; it earns no points and no growth.

    The reply is NDJSON and begins while the file is still being read: each line is the import as
    it stands, the last one as it ended. A line that cannot be taken is refused by itself. A broken
    upload keeps what was taken; sending the file again goes on from there.
    """
    if idempotency_key is None:
        raise IdempotencyKeyMissing
    media_type = _media_type(request)
    database = request.app.state.database
    opened = await database.run(
        lambda transaction: open_import(transaction, key=idempotency_key, media_type=media_type),
        actor=principal.actor,
    )
    if opened.finished:
        return await _replay(request, opened)
    upload = Upload(
        database=database,
        vault=request.app.state.vault,
        opened=opened,
        reader=reader_of(media_type),
    )
    return UploadReply(upload=upload, opened=opened)


@router.get(
    "/{import_id}",
    operation_id="show_order_import",
    responses={404: {"description": "No such import"}},
)
async def show_order_import(import_id: ImportId, request: Request) -> ImportReply:
    """How far an import is, or how it ended."""
    async with request.app.state.database.reading() as session:
        row = await store.find_import(session, import_id=import_id)
    if row is None:
        raise NotFound
    return import_reply(row)


@router.get(
    "/{import_id}/refusals",
    operation_id="list_order_import_refusals",
    responses={404: {"description": "No such import"}},
)
async def list_order_import_refusals(
    import_id: ImportId, request: Request, limit: LimitQuery = 50, cursor: CursorQuery = None
) -> PageReply[RefusedLine]:
    """Lines that were not taken, by line number; the first 10,000 of an import are kept."""
    after = int(decode_cursor(cursor, int)[0]) if cursor else 0
    async with request.app.state.database.reading() as session:
        rows = await store.list_refusals(session, import_id=import_id, after=after, limit=limit + 1)
        if not rows and await store.find_import(session, import_id=import_id) is None:
            raise NotFound
    page = page_of(rows, limit=limit, mark=lambda row: encode_cursor(row.line))
    language = request_language(request)
    return PageReply(
        data=[_refused_line(row, language) for row in page.rows], next_cursor=page.next_cursor
    )


async def _replay(request: Request, opened: OpenImport) -> Response:
    """The final state again, for the same file. Raises IdempotencyKeyReused for another."""
    digest = hashlib.sha256()
    with contextlib.suppress(ClientDisconnect):
        async for piece in hurried(request.stream(), silence_s=SILENCE_S):
            digest.update(piece)
    if digest.digest() != opened.row.body_hash:
        raise IdempotencyKeyReused
    return Response(
        import_reply(opened.row).model_dump_json() + "\n",
        status_code=201,
        media_type=NDJSON,
        headers={"Idempotency-Replayed": "true"},
    )


def _media_type(request: Request) -> str:
    """NDJSON or CSV. Raises UnsupportedMediaType and, by what the headers say, BodyTooLarge."""
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    name = media_type.strip().lower()
    charset = parameters.replace(" ", "").replace('"', "").lower()
    encoding = request.headers.get("content-encoding", "identity").lower()
    if name not in (NDJSON, CSV) or charset not in ("", "charset=utf-8") or encoding != "identity":
        raise UnsupportedMediaType(accepted=f"{NDJSON}, {CSV}")
    length = request.headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length) > MAX_BYTES:
        raise BodyTooLarge(limit_bytes=MAX_BYTES)
    return name


def _refused_line(row: OrderImportRefusal, language: Language) -> RefusedLine:
    return RefusedLine(
        line=row.line,
        order_id=row.order_id,
        code=row.code,
        pointer=row.pointer,
        detail=text(f"validation.{row.code}", language=language),
    )
