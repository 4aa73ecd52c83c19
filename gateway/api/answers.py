"""What the front says itself: problems for all that goes wrong before or behind it."""

from collections.abc import Iterable
from typing import Final

import structlog
from starlette.responses import Response

from gateway.api.bodies import BodyTooSlow
from gateway.api.inbound import Inbound
from gateway.domain.routing import MethodNotAllowed
from shared.db import is_transient
from shared.http.problems import problem, refusal_problem
from shared.kernel.errors import Refusal, RefusalKind

_log = structlog.get_logger()

Header = tuple[bytes, bytes]

_NOSNIFF: Final[Header] = (b"x-content-type-options", b"nosniff")
_NO_STORE: Final[Header] = (b"cache-control", b"no-store")


class Overloaded(Refusal):
    """This process serves as many requests as it may; another moment, another chance."""

    code = "overloaded"
    kind = RefusalKind.unavailable


def problem_for(error: Exception, inbound: Inbound) -> Response:
    """The problem that tells the caller of an error, and nothing of the inside."""
    if isinstance(error, Refusal):
        return refusal_problem(error, language=inbound.language, instance=inbound.shown_path)
    if isinstance(error, MethodNotAllowed):
        answer = _here(inbound, "method_not_allowed", 405)
        answer.headers["Allow"] = error.allow
        return answer
    if isinstance(error, BodyTooSlow):
        answer = _here(inbound, "body_too_slow", 408)
        answer.headers["Connection"] = "close"
        return answer
    # SQLAlchemy's and asyncpg's errors among them: the gateway's own database is away.
    if is_transient(error):
        _log.warning("dependency is away", error=type(error).__name__)
        return _here(inbound, "temporarily_unavailable", 503)
    _log.error("unexpected fault", path=inbound.shown_path, exc_info=error)
    return _here(inbound, "internal_error", 500)


def hardened(headers: Iterable[Header]) -> list[Header]:
    """Headers of an answer, with those that every answer has which does not say otherwise."""
    kept = [*headers, _NOSNIFF]
    if not any(name == b"cache-control" for name, _ in kept):
        kept.append(_NO_STORE)
    return kept


def _here(inbound: Inbound, code: str, status: int) -> Response:
    return problem(code=code, status=status, language=inbound.language, instance=inbound.shown_path)
