"""What a request may bring besides what its route reads: nothing. A misspelt name is an error."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from shared.http.middleware import header_of

_EMPTY_BODIES: Final = frozenset({b"", b"{}"})


async def refuse_unknown_input(request: Request) -> None:
    """Raise RequestValidationError for query parameters and bodies that the route does not read.

    Ignored, `as_off` would be answered with the present and `points` with all there are.
    """
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    if request.scope["query_string"]:
        refuse_unknown_query(request, known=frozenset(_names_in(route.dependant)))
    if route.body_field is not None or request.method == "GET" or not _may_be_json(request):
        return
    if (await request.body()).strip() not in _EMPTY_BODIES:
        raise RequestValidationError([{"type": "extra_forbidden", "loc": ("body",)}])


def refuse_unknown_query(request: Request, *, known: frozenset[str] = frozenset()) -> None:
    """Raise RequestValidationError for query parameters that are not known."""
    query: bytes = request.scope["query_string"]
    if not query:
        return
    names = [name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)]
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if unknown:
        raise RequestValidationError(
            [{"type": "extra_forbidden", "loc": ("query", name)} for name in unknown]
        )


def _names_in(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _names_in(inner)


def _may_be_json(request: Request) -> bool:
    """Not an upload, which its route reads as it comes."""
    given = header_of(request.scope, b"content-type") or "application/json"
    return given.partition(";")[0].strip().lower() == "application/json"
