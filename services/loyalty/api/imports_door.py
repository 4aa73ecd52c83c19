"""The door that all imports share: what may be uploaded, a file taken, refused lines listed."""

import contextlib
import hashlib
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic

from fastapi import Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.requests import ClientDisconnect

from services.loyalty.api.imports_lines import CSV, NDJSON, LineFormat, reader_of
from services.loyalty.api.imports_reply import Show, UploadReply
from services.loyalty.api.imports_upload import MAX_BYTES, SILENCE_S, Take, Upload, hurried
from services.loyalty.domain.imports import ImportKind, Line
from services.loyalty.operations.imports import ImportTerms, OpenImport, open_import
from services.loyalty.store import imports as store
from services.loyalty.store.tables import Import, ImportRefusal
from shared.http.fields import id_pattern
from shared.http.paging import CursorQuery
from shared.http.problems import request_language
from shared.http.tokens import Principal
from shared.http.writes import IdempotencyKeyMissing, IdempotencyKeyReused
from shared.kernel.errors import NotFound, Refusal, RefusalKind
from shared.kernel.paging import InvalidCursor, Page, decode_cursor, encode_cursor, page_of
from shared.kernel.texts import text

#: More lines than any file of 512 MiB has, and what their column holds.
_LINES_MAX: Final = 2**31

ImportId = Annotated[str, Field(pattern=id_pattern("imp"), description="An import's id")]
EnrolQuery = Annotated[
    bool, Query(description="Whether whoever an unknown identity belongs to is enrolled")
]

UPLOAD_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    201: {
        "description": "The import as it stands, in one line at each step; the last is how it ended"
    },
    409: {"description": "An upload under this key goes on"},
    422: {"description": "`idempotency_key_reused`: with another file or other parameters"},
}


class NdjsonReply(JSONResponse):
    """What the document calls a reply of many lines, each of which is the reply model."""

    media_type = NDJSON


class UnsupportedMediaType(Refusal):
    """The file is neither NDJSON nor CSV, or it is compressed."""

    code = "unsupported_media_type"
    kind = RefusalKind.wrong_media_type


class BodyTooLarge(Refusal):
    """The file is larger than one import takes."""

    code = "body_too_large"
    kind = RefusalKind.too_large


@dataclass(frozen=True, kw_only=True)
class ImportDoor(Generic[Line]):
    """What is taken at one kind's door, how its lines are read and stored, and how it is shown."""

    lines: LineFormat[Line]
    take: Take[Line]
    show: Show

    async def upload(
        self, request: Request, *, principal: Principal, key: str | None, terms: ImportTerms
    ) -> Response:
        """Take a file, or answer as before for one that was read to its end."""
        if key is None:
            raise IdempotencyKeyMissing
        media_type = _media_type(request)
        database = request.app.state.database
        opened = await database.run(
            lambda transaction: open_import(
                transaction, key=key, media_type=media_type, terms=terms
            ),
            actor=principal.actor,
        )
        if opened.finished:
            return await _replay(request, opened, self.show)
        upload = Upload(
            database=database,
            opened=opened,
            reader=reader_of(media_type, self.lines),
            take=self.take,
        )
        return UploadReply(upload=upload, opened=opened, show=self.show)


def body_of(*, ndjson: str, csv: str) -> dict[str, Any]:
    """The upload's body for OpenAPI, by examples."""
    string = {"type": "string"}
    content = {
        NDJSON: {"schema": string, "example": ndjson},
        CSV: {"schema": string, "example": csv},
    }
    return {"requestBody": {"required": True, "content": content}}


async def import_of(request: Request, *, import_id: str, kind: ImportKind) -> Import:
    """An import of a kind. Raises NotFound."""
    async with request.app.state.database.reading() as session:
        row = await store.find_import(session, import_id=import_id, kind=kind)
    if row is None:
        raise NotFound
    return row


async def refusals_of(
    request: Request, *, import_id: str, kind: ImportKind, limit: int, cursor: CursorQuery
) -> Page[ImportRefusal]:
    """A page of the lines that an import refused. Raises NotFound and InvalidCursor."""
    after = int(decode_cursor(cursor, int)[0]) if cursor else 0
    if not 0 <= after < _LINES_MAX:
        raise InvalidCursor
    await import_of(request, import_id=import_id, kind=kind)
    async with request.app.state.database.reading() as session:
        rows = await store.list_refusals(session, import_id=import_id, after=after, limit=limit + 1)
    return page_of(rows, limit=limit, mark=lambda row: encode_cursor(row.line))


def reason_of(row: ImportRefusal, request: Request) -> str:
    """Why a line was refused, in the caller's language."""
    return text(f"validation.{row.code}", language=request_language(request))


async def _replay(request: Request, opened: OpenImport, show: Show) -> Response:
    """The final state again, for the same file. Raises IdempotencyKeyReused for another."""
    digest = hashlib.sha256()
    with contextlib.suppress(ClientDisconnect):
        async for piece in hurried(request.stream(), silence_s=SILENCE_S):
            digest.update(piece)
    if digest.digest() != opened.row.body_hash:
        raise IdempotencyKeyReused
    return Response(
        show(opened.row).model_dump_json() + "\n",
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
