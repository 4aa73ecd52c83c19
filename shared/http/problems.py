"""Refusals and faults as RFC 9457 problems, in the caller's language, nothing of the inside."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import asyncpg
import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from shared.db import is_transient
from shared.idempotency import IdempotencyInFlight
from shared.kernel.errors import InvalidField, Refusal, RefusalKind
from shared.kernel.texts import Language, language_of, text
from shared.telemetry import current_request

_log = structlog.get_logger()

MEDIA_TYPE: Final = "application/problem+json"
_TYPE_ROOT: Final = "urn:huitou:problem:"
_RETRY_S: Final = 1
_MAX_ERRORS: Final = 20
_AWAY: Final = (
    SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError,
    RedisError, OSError, TimeoutError,
)  # fmt: skip
_BY_STATUS: Final = {
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}


def problem(
    *,
    code: str,
    status: int,
    language: Language,
    instance: str,
    facts: Mapping[str, str | int] | None = None,
    errors: Sequence[Mapping[str, str]] = (),
    shown: bool = False,
) -> Response:
    """A problem document. `code` selects the words of `title` and `detail` from the catalogue.

    With `shown`, the facts stand in it for machines too, as an extension member (RFC 9457 §3.2).
    """
    context = current_request.get()
    body: dict[str, Any] = {
        "type": _TYPE_ROOT + code,
        "title": text(f"problem.{code}.title", language=language, facts=facts),
        "status": status,
        "detail": text(f"problem.{code}.detail", language=language, facts=facts),
        "instance": instance,
        "code": code,
        "request_id": context.request_id if context else "",
    }
    if errors:
        body["errors"] = list(errors)
    if shown and facts:
        body["facts"] = dict(facts)
    headers: dict[str, str] = {"Content-Language": language}
    if status in (429, 503) or code == IdempotencyInFlight.code:
        headers["Retry-After"] = str((facts or {}).get("retry_after_s", _RETRY_S))
    if status == RefusalKind.unauthenticated.value:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(body), status_code=status, headers=headers, media_type=MEDIA_TYPE)


def refusal_problem(refusal: Refusal, *, language: Language, instance: str) -> Response:
    """A refusal as a problem."""
    errors: Sequence[Mapping[str, str]] = ()
    if isinstance(refusal, InvalidField):
        reason = text(f"validation.{refusal.reason}", language=language)
        errors = [{"pointer": refusal.pointer, "detail": reason}]
    return problem(
        code=refusal.code,
        status=refusal.kind.value,
        language=language,
        instance=instance,
        facts=refusal.facts,
        errors=errors,
        shown=not isinstance(refusal, InvalidField),
    )


def request_language(request: Request) -> Language:
    """The language that the caller asks for."""
    return language_of(request.headers.get("accept-language"))


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every refusal, invalid request and fault of an application with a problem."""
    for kind, handler in _HANDLERS:
        app.add_exception_handler(kind, handler)


async def problem_of(request: Request, error: Exception) -> Response:
    """The problem with which an application of ours answers an exception."""
    handler = next(handler for kind, handler in _HANDLERS if isinstance(error, kind))
    return await handler(request, error)


def _here(request: Request, code: str, status: int, **more: Any) -> Response:
    return problem(
        code=code,
        status=status,
        language=request_language(request),
        # Not `request.url`, which a broken query or Host header makes fail.
        instance=request.scope["path"],
        **more,
    )


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return refusal_problem(
        error, language=request_language(request), instance=request.scope["path"]
    )


async def _on_validation(request: Request, error: Exception) -> Response:
    """422 with pointers; 404 when it is the path that cannot name anything. Never echoes input."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()[:_MAX_ERRORS]
    if any(one["loc"] and one["loc"][0] == "path" for one in found):
        return _here(request, "not_found", 404)
    if any(one["type"] == "json_invalid" for one in found):
        return _here(request, "malformed_json", 400)
    language = request_language(request)
    errors = [{"pointer": _pointer(one["loc"]), "detail": _detail(one, language)} for one in found]
    return _here(request, "validation_failed", 422, errors=errors)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _BY_STATUS.get(error.status_code, "malformed_request")
    answer = _here(request, code, error.status_code)
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


async def _on_dependency(request: Request, error: Exception) -> Response:
    """The database or Redis is away: 503, and the caller may try again. Else it is our fault."""
    if not is_transient(error) and not isinstance(error, RedisError):
        return await _on_fault(request, error)
    _log.warning("dependency is away", error=type(error).__name__)
    return _here(request, "temporarily_unavailable", 503, facts={"retry_after_s": _RETRY_S})


def fault_problem(request: Request, error: Exception) -> Response:
    """A fault of ours: recorded in the log in full, told to the caller with the request id only."""
    _log.error("unexpected fault", path=request.scope["path"], exc_info=error)
    return _here(request, "internal_error", 500)


async def _on_fault(request: Request, error: Exception) -> Response:
    return fault_problem(request, error)


def _pointer(location: Sequence[str | int]) -> str:
    """An RFC 6901 pointer into the body; `?name` for the query, `@name` for a header."""
    where, *inner = location
    if where == "query":
        return "?" + "/".join(str(part) for part in inner)
    if where == "header":
        return "@" + "/".join(str(part) for part in inner)
    escaped = (_printable(str(part)).replace("~", "~0").replace("/", "~1") for part in inner)
    return "".join(f"/{part}" for part in escaped)


def _printable(part: str) -> str:
    """A field name the caller made up, fit to be sent back: short and without controls."""
    return "".join(letter if letter.isprintable() else "?" for letter in part[:64])


def _detail(error: Mapping[str, Any], language: Language) -> str:
    key = f"validation.{error['type']}"
    facts = {
        name: value
        for name, value in (error.get("ctx") or {}).items()
        if isinstance(value, str | int) and name != "error"
    }
    words = text(key, language=language, facts=facts)
    return words if words != key else text("validation.invalid", language=language)


_Handler = Callable[[Request, Exception], Awaitable[Response]]
#: The first that fits answers.
_HANDLERS: Final[Sequence[tuple[type[Exception], _Handler]]] = (
    (Refusal, _on_refusal),
    (RequestValidationError, _on_validation),
    (HTTPException, _on_http),
    *((away, _on_dependency) for away in _AWAY),
    (Exception, _on_fault),
)
