"""`/openapi.json`: one document for the whole API, in Chinese or English."""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any, Final

import orjson
from fastapi import APIRouter, FastAPI, Request, Response

from gateway.clients.upstreams import Upstreams
from gateway.domain.openapi_document import merged_document
from gateway.domain.openapi_parts import Part
from shared.http.problems import request_language
from shared.kernel.texts import Language

router = APIRouter(include_in_schema=False)

#: How long a complete document is served before the services are asked again, in seconds.
_FRESH_S: Final = 60.0
#: How soon they are asked again when one of them was away.
_AWAY_S: Final = 2.0


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document as it is sent."""

    body: bytes
    etag: str


class Documents:
    """The merged document, made when somebody asks, and kept for a while.

    A service that is away keeps the place it had when it was last seen, and the document says so.
    A service that failed to answer a call may be another version when it is back, so that ends
    the while.
    """

    def __init__(self, *, app: FastAPI, upstreams: Upstreams) -> None:
        self._app = app
        self._upstreams = upstreams
        self._last_good: dict[str, dict[str, Any]] = {}
        self._made: dict[Language, Document] = {}
        self._until = 0.0
        self._failures = 0
        self._making = asyncio.Lock()

    async def find(self, language: Language) -> Document:
        """The document in a language."""
        async with self._making:
            now = asyncio.get_running_loop().time()
            if now >= self._until or self._failures != self._upstreams.failures:
                await self._make(now)
            return self._made[language]

    async def _make(self, now: float) -> None:
        self._failures = self._upstreams.failures
        services = self._upstreams.services
        found = await asyncio.gather(*(self._upstreams.document(one) for one in services))
        parts = [
            self._part(service, document) for service, document in zip(services, found, strict=True)
        ]
        parts.append(Part(service="gateway", document=self._app.openapi(), current=True))
        self._made = {"zh-CN": self._merged(parts, "zh-CN"), "en": self._merged(parts, "en")}
        complete = all(part.current for part in parts)
        self._until = now + (_FRESH_S if complete else _AWAY_S)

    def _part(self, service: str, document: dict[str, Any] | None) -> Part:
        if document is not None:
            self._last_good[service] = document
        return Part(
            service=service,
            document=self._last_good.get(service),
            current=document is not None,
        )

    def _merged(self, parts: list[Part], language: Language) -> Document:
        document = merged_document(parts, version=self._app.version, language=language)
        body = orjson.dumps(document)
        return Document(body=body, etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"')


@router.get("/openapi.json")
async def show_document(request: Request) -> Response:
    """The document; `?lang=en` or `zh-CN` wins over Accept-Language, for tools without headers."""
    documents: Documents = request.app.state.documents
    wanted = request.query_params.get("lang")
    language: Language = wanted if wanted in ("zh-CN", "en") else request_language(request)  # type: ignore[assignment]
    document = await documents.find(language)
    headers = {
        "ETag": document.etag,
        "Cache-Control": "no-cache",
        "Content-Language": language,
        "Vary": "Accept-Language",
    }
    if request.headers.get("if-none-match") == document.etag:
        return Response(status_code=304, headers=headers)
    return Response(document.body, media_type="application/json", headers=headers)
