"""What callers of the public API hold on to: each operation's address, fields and their types."""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from gateway.domain.openapi_document import merged_document
from gateway.domain.openapi_parts import Part
from shared.kernel.clock import FixedClock
from tests.support.databases import package_of
from tests.support.service import NOON, SERVICES, settings_of

GOLDEN: Final = Path(__file__).parent / "operations.json"

Json = Mapping[str, Any]
Summary = dict[str, Any]
_ERRORS_FROM: Final = 400


def present_operations() -> dict[str, Summary]:
    """All operations of the present document, in short."""
    document = present_document()
    found = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found[operation["operationId"]] = summary(operation, document, method, path)
    return found


def present_document() -> dict[str, Any]:
    """The document that the gateway makes of the services' real applications."""
    return merged_document(
        [Part(service=name, document=_document(name), current=True) for name in SERVICES],
        version="1",
        language="en",
    )


def _document(service: str) -> dict[str, Any]:
    """No connection is made: the application is only built."""
    main = importlib.import_module(f"{package_of(service)}.main")
    nowhere = "127.0.0.1:9"
    settings = settings_of(
        service,
        database_url=f"postgresql://nobody@{nowhere}/none",
        redis_url=f"redis://{nowhere}/0",
    )
    document: dict[str, Any] = main.build(settings, clock=FixedClock(NOON)).openapi()
    return document


def summary(operation: Json, document: Json, method: str, path: str) -> Summary:
    """An operation in short: fields that must be sent, that may be sent, and that come back."""
    required: dict[str, str] = {}
    optional: dict[str, str] = {}
    for place, schema, needed in _sent(operation, document):
        (required if needed else optional)[place] = type_of(schema, document)
    return {
        "method": method.upper(),
        "path": path,
        "required": dict(sorted(required.items())),
        "optional": dict(sorted(optional.items())),
        "replies": {
            status: _reply(answer, document)
            for status, answer in sorted(operation["responses"].items())
            if int(status) < _ERRORS_FROM
        },
    }


def _sent(operation: Json, document: Json) -> Iterator[tuple[str, Json, bool]]:
    for given in operation.get("parameters", ()):
        one = _at(given, document)
        yield f"{one['in']}.{one['name']}", one["schema"], one.get("required", False)
    body = operation.get("requestBody", {})
    for media, content in body.get("content", {}).items():
        if media == "application/json":
            yield from fields(content.get("schema", {}), document, "body")
        else:
            yield f"body({media})", content.get("schema", {}), False


def _reply(answer: Json, document: Json) -> dict[str, str]:
    found = {}
    for media, content in _at(answer, document).get("content", {}).items():
        schema = content.get("schema", {})
        if media == "application/json":
            whole = ("reply", schema, True)
            for place, inner, _ in (whole, *fields(schema, document, "reply")):
                found[place] = type_of(inner, document)
        else:
            found[f"reply({media})"] = type_of(schema, document)
    return dict(sorted(found.items()))


def fields(schema: Json, document: Json, place: str) -> Iterator[tuple[str, Json, bool]]:
    """Each field at any depth: where it is, its schema, and whether its parent must hold it."""
    found = _at(schema, document)
    for name, inner in found.get("properties", {}).items():
        yield f"{place}.{name}", inner, name in found.get("required", ())
        yield from fields(inner, document, f"{place}.{name}")
    if "items" in found:
        yield from fields(found["items"], document, f"{place}[]")
    for inner in found.get("anyOf", ()):
        yield from fields(inner, document, place)


def type_of(schema: Json, document: Json) -> str:
    """The JSON types a schema lets through, as `integer|null`; `any` when it names none."""
    found = _at(schema, document)
    inner = found.get("anyOf")
    if inner is None:
        return str(found.get("type", "any"))
    kinds = {kind for one in inner for kind in type_of(one, document).split("|")}
    return "|".join(sorted(kinds))


def _at(schema: Json, document: Json) -> Json:
    if "$ref" not in schema:
        return schema
    target: Any = document
    for step in schema["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return _at(target, document)


def shrunk(*, golden: Mapping[str, Summary], present: Mapping[str, Summary]) -> list[str]:
    """What callers of the golden operations would miss, or be asked for anew."""
    found = []
    for name, old in golden.items():
        if name not in present:
            found.append(f"{name} is gone")
        else:
            found += [f"{name}: {one}" for one in _differences(old, present[name])]
    return found


def _differences(old: Summary, new: Summary) -> Iterator[str]:
    if (old["method"], old["path"]) != (new["method"], new["path"]):
        yield f"moved to {new['method']} {new['path']}"
    yield from _requests(old, new)
    for status, reply in old["replies"].items():
        if status not in new["replies"]:
            yield f"never answers {status} any more"
        else:
            yield from _replies(reply, new["replies"][status])


def _requests(old: Summary, new: Summary) -> Iterator[str]:
    before = {**old["required"], **old["optional"]}
    now = {**new["required"], **new["optional"]}
    for place, kind in before.items():
        if place not in now:
            yield f"{place} is not taken any more"
        elif not _kinds(kind) <= _kinds(now[place]):
            yield f"{place} was {kind} and is {now[place]}"
    for place in new["required"].keys() - old["required"].keys():
        parent = place.rpartition(".")[0].removesuffix("[]")
        # What a new optional object must hold bothers nobody who does not send the object.
        if place in before or parent in before or "." not in parent:
            yield f"{place} is required now"


def _replies(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for place, kind in old.items():
        if place not in new:
            yield f"{place} is gone"
        elif not _kinds(new[place]) <= _kinds(kind):
            yield f"{place} was {kind} and is {new[place]}"


def _kinds(written: str) -> set[str]:
    """A number may be whole, so who takes numbers takes integers."""
    kinds = set(written.split("|"))
    return kinds | {"integer"} if "number" in kinds else kinds
