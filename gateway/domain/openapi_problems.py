"""The refusals that operations have in common: which of them an operation may answer with.

An operation's own refusals are said by its service; these come from the gateway's front, from the
door of every write, and from what may be wrong with any request.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.domain.openapi_common import PROBLEM_CONTENT_TYPE, header, problem_example
from gateway.policy import Operation
from shared.kernel.texts import Language, text

Json = dict[str, Any]

_BODY_METHODS: Final = ("POST", "PUT")
_IN_FLIGHT: Final = "idempotency_in_flight"
_CODE: Final = re.compile(r"`([a-z0-9_]+)`")
_CODES_ALONE: Final = re.compile(r"(`[a-z0-9_]+`(, )?)+")


@dataclass(frozen=True, kw_only=True)
class Nature:
    """What of an operation decides how it may be refused before its own rules are asked."""

    scoped: bool
    #: Whether its path names something by id.
    by_id: bool
    #: Whether it takes the cursor of a page.
    paged: bool
    #: Whether a body may come, and whether one is read as JSON.
    with_body: bool
    reads_json: bool
    #: Whether it takes an Idempotency-Key, and whether it needs one.
    repeatable: bool
    keyed: bool
    #: Whether a service behind the gateway answers.
    forwarded: bool


_COMMON: Final[Sequence[tuple[int, str, Callable[[Nature], bool]]]] = (
    (400, "malformed_request", lambda _: True),
    (400, "malformed_json", lambda one: one.reads_json),
    (400, "idempotency_key_missing", lambda one: one.keyed),
    (401, "unauthenticated", lambda _: True),
    (403, "scope_missing", lambda one: one.scoped),
    (404, "not_found", lambda one: one.by_id),
    (405, "method_not_allowed", lambda _: True),
    (408, "body_too_slow", lambda one: one.with_body),
    (409, _IN_FLIGHT, lambda one: one.repeatable),
    (413, "body_too_large", lambda one: one.with_body),
    (415, "unsupported_media_type", lambda one: one.with_body),
    (422, "validation_failed", lambda _: True),
    (422, "invalid_cursor", lambda one: one.paged),
    (422, "idempotency_key_reused", lambda one: one.repeatable),
    (500, "internal_error", lambda _: True),
    (503, "service_away", lambda one: one.forwarded),
    (503, "temporarily_unavailable", lambda _: True),
    (503, "overloaded", lambda _: True),
    (504, "service_too_slow", lambda one: one.forwarded),
)


def nature_of(row: Operation, found: Json) -> Nature:
    """The nature of an operation, by its row and by what its service says of it."""
    parameters = found.get("parameters", [])
    queries = {one.get("name") for one in parameters if one.get("in") == "query"}
    with_body = row.method in _BODY_METHODS
    return Nature(
        scoped=row.scope is not None,
        by_id="{" in row.path,
        paged="cursor" in queries,
        with_body=with_body,
        reads_json=with_body and "requestBody" in found and "application/json" in row.media_types,
        repeatable=takes_key(row, found),
        keyed=row.keyed,
        forwarded=row.service != "gateway",
    )


def takes_key(row: Operation, found: Json) -> bool:
    """Whether an operation takes an Idempotency-Key, needed or not."""
    named = (one.get("name", "").lower() for one in found.get("parameters", []))
    return row.keyed or "idempotency-key" in named


def common_codes(nature: Nature) -> Mapping[str, Sequence[str]]:
    """By status, the codes of the common refusals of such an operation."""
    codes: dict[str, list[str]] = {}
    for status, code, applies in _COMMON:
        if applies(nature):
            codes.setdefault(str(status), []).append(code)
    return codes


def component_name(codes: Sequence[str]) -> str:
    """What the component of some common refusals is called: `ScopeMissing`."""
    return "Or".join("".join(word.capitalize() for word in code.split("_")) for code in codes)


def common_problem(status: str, codes: Sequence[str], *, language: Language) -> Json:
    """The component of some common refusals, with an example of each."""
    examples = {
        code: {"value": problem_example(code, status=int(status), language=language)}
        for code in codes
    }
    return {
        "description": _named(codes, language=language),
        "headers": problem_headers(status, codes),
        "content": {PROBLEM_CONTENT_TYPE: {**_schema(), "examples": examples}},
    }


def own_problem(
    status: str, response: Json, *, common: Sequence[str], replayed: bool, language: Language
) -> Json:
    """A refusal that a service names, and the common ones of that status, which it does not.

    Where the service says nothing but codes, their titles are added.
    """
    words = response.get("description", "")
    own = _CODE.findall(words)
    others = [code for code in common if code not in own]
    if _CODES_ALONE.fullmatch(words):
        description = _named([*own, *others], language=language)
    else:
        description = "\n\n".join([words, *([_named(others, language=language)] if others else [])])
    headers = problem_headers(status, common)
    if replayed and own and status in ("404", "409"):
        headers |= header("Idempotency-Replayed")
    given = response.get("content", {}).get(PROBLEM_CONTENT_TYPE, {})
    return {
        **response,
        "description": description,
        "headers": headers,
        "content": {PROBLEM_CONTENT_TYPE: {**_schema(), **given}},
    }


def problem_headers(status: str, codes: Iterable[str]) -> Json:
    """The headers of a problem, as `shared.http.problems` and the gateway's front set them."""
    headers = header("X-Request-Id")
    if status == "401":
        headers |= header("WWW-Authenticate")
    if status == "405":
        headers |= header("Allow")
    if status == "503" or _IN_FLIGHT in codes:
        headers |= header("Retry-After")
    return headers


def _schema() -> Json:
    return {"schema": {"$ref": "#/components/schemas/Problem"}}


def _named(codes: Sequence[str], *, language: Language) -> str:
    """Codes with their titles: one in a line, several as a list."""
    lines = [f"`{code}` {text(f'problem.{code}.title', language=language)}" for code in codes]
    return lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)
