"""The console's page and what it loads, all from here: no outside request is ever made."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from gateway.policy import SCOPES
from shared.kernel.errors import NotFound
from shared.kernel.texts import catalogue

router = APIRouter(include_in_schema=False)

_ROOT: Final = Path(__file__).parent.parent / "console"
_TEXTS: Final = "console."
_MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_PLAIN: Final = "text/plain; charset=utf-8"
_GUARDED: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, kw_only=True)
class _File:
    media_type: str
    body: bytes
    packed: bytes
    etag: str


@router.get("/")
async def go_to_console() -> Response:
    """There is nothing else to see at the root."""
    return RedirectResponse("/console", status_code=307)


@router.get("/console")
async def show_console(request: Request) -> Response:
    """The page."""
    return _answer(request, _files()["index.html"])


@router.get("/console/{name}")
async def show_file(name: str, request: Request) -> Response:
    """What the page loads."""
    if name == "facts.json":
        return Response(
            orjson.dumps(_facts(request.app.state.mode)),
            media_type="application/json",
            headers=_GUARDED,
        )
    found = _files().get(name)
    if found is None:
        raise NotFound
    return _answer(request, found)


def _answer(request: Request, file: _File) -> Response:
    headers = {**_GUARDED, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    body = file.body
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = file.packed
    return Response(body, media_type=file.media_type, headers=headers)


@cache
def _files() -> dict[str, _File]:
    """All files by name, read once. Only these are served: a path is never made from a name."""
    folders = (_ROOT / "page", _ROOT / "static")
    return {path.name: _read(path) for folder in folders for path in sorted(folder.iterdir())}


def _read(path: Path) -> _File:
    body = path.read_bytes()
    return _File(
        media_type=_MEDIA_TYPES.get(path.suffix, _PLAIN),
        body=body,
        packed=gzip.compress(body, 6, mtime=0),
        etag=f'W/"{hashlib.sha256(body).hexdigest()[:32]}"',
    )


def _facts(mode: str) -> dict[str, Any]:
    """The page's words in both languages, the names of the scopes, and live or sandbox."""
    texts = {
        key.removeprefix(_TEXTS): words
        for key, words in catalogue().items()
        if key.startswith(_TEXTS)
    }
    scopes = {scope: {"zh-CN": chinese, "en": en} for scope, (chinese, en) in SCOPES.items()}
    return {"texts": texts, "scopes": scopes, "mode": mode}
