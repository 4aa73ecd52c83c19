"""The reply to an upload: how far the import is, written while the request is still read."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Annotated, Final, Generic

from fastapi import Request, Response
from pydantic import Field
from starlette.types import Receive, Scope, Send

from services.loyalty.api.imports_lines import NDJSON
from services.loyalty.api.imports_upload import Upload
from services.loyalty.domain.imports import ImportState, Line
from services.loyalty.operations.imports import OpenImport
from services.loyalty.store.tables import Import
from shared.http.fields import RecordedAt, ReplyModel
from shared.http.problems import request_language
from shared.kernel.texts import text


class ImportReply(ReplyModel):
    """What all imports tell of themselves."""

    id: Annotated[str, Field(description="An import's id")]
    state: Annotated[
        ImportState,
        Field(
            description="`receiving`; `done`: the file was read to its end; `failed`: what was "
            "taken stays"
        ),
    ]
    lines: Annotated[
        int, Field(description="Lines read, without blank ones and the header of a CSV file")
    ]
    repeated: Annotated[
        int, Field(description="Lines that were on record already, with the same facts")
    ]
    refused: Annotated[int, Field(description="Lines that were not taken")]
    members: Annotated[int, Field(description="Members who were enrolled on the fly")]
    error: Annotated[
        str | None,
        Field(
            description="Why it failed, for programs: `csv_header_missing`, `csv_header_invalid`, "
            "`file_too_large`, `upload_broken`, `upload_stalled`, `upload_superseded`, "
            "`service_interrupted` or `internal_error`"
        ),
    ]
    error_detail: Annotated[
        str | None, Field(description="The same for people, with what to do next")
    ]
    created_at: RecordedAt
    finished_at: datetime | None


LineNumber = Annotated[
    int, Field(description="Its number in the file, from 1, blank lines and a header counted")
]
Pointer = Annotated[
    str | None, Field(description="The field that is wrong, such as `/paid_fen`; null: the line")
]
Detail = Annotated[str, Field(description="Why, for people")]
#: The codes of refused lines that all kinds of imports have.
LINE_CODES: Final = (
    "Why, for programs. Of any file: `line_too_long` (above 64 KiB), `not_utf8`, `malformed_line`, "
    "`missing`, `extra_forbidden`, `invalid`, `member_missing`, `member_ambiguous` (named by id "
    "and by identity), `member_unknown`, `member_erased`, `phone_invalid`, `identity_malformed`, "
    "`app_id_required`, `app_id_unexpected`"
)


#: An import as callers of its kind see it.
Show = Callable[[Import], ImportReply]


def error_detail(row: Import, request: Request) -> str | None:
    """Why an import failed and what to do next, in the caller's language; None if it did not."""
    if row.error is None:
        return None
    return text(f"import_error.{row.error}", language=request_language(request))


class UploadReply(Response, Generic[Line]):
    """A reply that is written while the request is still being read."""

    media_type = NDJSON

    def __init__(self, *, upload: Upload[Line], opened: OpenImport, show: Show) -> None:
        super().__init__(status_code=201)
        del self.headers["content-length"]
        self._upload = upload
        self._opened = opened
        self._show = show

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer at once, then take the file, telling how far it is as it goes."""
        progress = _Progress(send, headers=self.raw_headers, show=self._show)

        async def pieces() -> AsyncIterator[bytes]:
            # The file's first piece is waited for before anything is sent: a client that waits
            # for `100 Continue` would take an early reply for the final one.
            async for piece in Request(scope, receive).stream():
                if not progress.begun:
                    await progress.begin(self._opened.row)
                yield piece

        ended = await self._upload.take(pieces(), report=progress.tell)
        if not progress.begun:
            await progress.begin(self._opened.row)
        await progress.end(ended)


class _Progress:
    """Sends lines without ever waiting for the caller to read them, but for the last one.

    Many callers read nothing before they have sent everything. Waiting for them to take a line
    would stop the reading of what they send.
    """

    def __init__(self, send: Send, *, headers: list[tuple[bytes, bytes]], show: Show) -> None:
        self.begun = False
        self._send = send
        self._headers = headers
        self._show = show
        self._sending: asyncio.Task[None] | None = None

    async def begin(self, row: Import) -> None:
        """Send the head of the reply and the first line."""
        self.begun = True
        with contextlib.suppress(OSError):
            await self._send(
                {"type": "http.response.start", "status": 201, "headers": self._headers}
            )
        self.tell(row)

    def tell(self, row: Import) -> None:
        """Send a line, unless the one before is still on its way."""
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._line(row, last=False))

    async def end(self, row: Import) -> None:
        """Send the last line."""
        if self._sending is not None:
            await self._sending
        await self._line(row, last=True)

    async def _line(self, row: Import, *, last: bool) -> None:
        line = self._show(row).model_dump_json().encode() + b"\n"
        with contextlib.suppress(OSError):
            await self._send({"type": "http.response.body", "body": line, "more_body": not last})
