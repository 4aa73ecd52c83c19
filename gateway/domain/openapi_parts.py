"""One service's own OpenAPI document, taken apart: the operations and schemas that become public.

What FastAPI makes is kept as it is but for the names, which must be unique in the whole: component
names and schema titles get the service's name in front, as generators of clients need it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.policy import Operation
from shared.kernel.texts import Language, described

Json = dict[str, Any]

_SCHEMAS: Final = "#/components/schemas/"
#: FastAPI's own shape of an invalid request, which we never send: ours is a problem.
_FOREIGN: Final = frozenset({"HTTPValidationError", "ValidationError"})


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one service says of itself. `document` is None when it has never been reached."""

    service: str
    document: Mapping[str, Any] | None
    #: Whether it was reached this time, so that what it says is what it does now.
    current: bool


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What of a part is public."""

    #: By operation id; as in the part, but for renamed references.
    operations: Mapping[str, Json]
    #: By their new names.
    schemas: Mapping[str, Json]


def take(part: Part, rows: list[Operation], *, language: Language) -> Taken:
    """Take the operations of some rows of the policy table, with the schemas they need.

    What they say of themselves comes in the language. An operation that the part does not have
    under exactly that method and path is left out.
    """
    document = part.document or {}
    prefix = part.service.capitalize()
    operations = {}
    for row in rows:
        found = document.get("paths", {}).get(row.path, {}).get(row.method.lower())
        if found is not None and found.get("operationId") == row.id:
            named = _renamed(_without_foreign(found), prefix)
            operations[row.id] = _worded(_lifted(named), language)
    schemas = document.get("components", {}).get("schemas", {})
    renamed = {
        prefix + name: {**_renamed(schema, prefix), "title": prefix + schema.get("title", name)}
        for name, schema in schemas.items()
        if name not in _FOREIGN
    }
    needed = _needed(operations, renamed)
    return Taken(operations=operations, schemas=_worded(_lifted(needed), language))


def _without_foreign(operation: Json) -> Json:
    """Without the answer 422 as FastAPI supposes it; ours is added to all by the document."""
    responses = {
        status: response
        for status, response in operation.get("responses", {}).items()
        if not (
            status == "422"
            and any(name.removeprefix(_SCHEMAS) in _FOREIGN for name in _references(response))
        )
    }
    return {**operation, "responses": responses}


def _needed(operations: Mapping[str, Json], schemas: Mapping[str, Json]) -> dict[str, Json]:
    """The schemas that operations reach, directly or through others."""
    wanted = [*_references(operations)]
    reached: dict[str, Json] = {}
    while wanted:
        name = wanted.pop().removeprefix(_SCHEMAS)
        if name not in reached and name in schemas:
            reached[name] = schemas[name]
            wanted += _references(schemas[name])
    return dict(sorted(reached.items()))


def _renamed(node: Any, prefix: str) -> Any:
    if isinstance(node, Mapping):
        return {name: _renamed(value, prefix) for name, value in node.items()}
    if isinstance(node, list):
        return [_renamed(value, prefix) for value in node]
    if isinstance(node, str) and node.startswith(_SCHEMAS):
        return _SCHEMAS + prefix + node.removeprefix(_SCHEMAS)
    return node


def _lifted(node: Any) -> Any:
    """What a field or parameter means stands at itself, once, where readers and tools look for it.

    FastAPI and pydantic leave it inside: in one of two alternatives, the other of which is null,
    or in a parameter's schema.
    """
    if isinstance(node, list):
        return [_lifted(value) for value in node]
    if not isinstance(node, Mapping):
        return node
    lifted = {name: _lifted(value) for name, value in node.items()}
    if isinstance(lifted.get("schema"), dict) and "in" in lifted:
        _lift(lifted, lifted["schema"])
    choices = lifted.get("anyOf")
    if isinstance(choices, list) and len(choices) == 2 and {"type": "null"} in choices:
        for choice in choices:
            _lift(lifted, choice)
    return lifted


def _lift(outer: Json, inner: Json) -> None:
    words = inner.pop("description", None)
    if words is not None:
        outer.setdefault("description", words)


def _worded(node: Any, language: Language) -> Any:
    if isinstance(node, Mapping):
        return {
            name: described(value, language=language)
            if name == "description" and isinstance(value, str)
            else _worded(value, language)
            for name, value in node.items()
        }
    if isinstance(node, list):
        return [_worded(value, language) for value in node]
    return node


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
    elif isinstance(node, str) and node.startswith(_SCHEMAS):
        yield node
