"""What changed between two schemas, as far as it breaks those who read what was agreed."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Json = Mapping[str, Any]

#: Words about a schema that change nothing of what it lets through.
_WORDS: Final = frozenset({"title", "description", "default", "examples", "$defs"})


def resolved(schema: Json) -> dict[str, Any]:
    """The schema with every reference replaced by what it refers to, and without mere words."""
    found: dict[str, Any] = _resolved(schema, schema)
    return found


def shrinkages(*, golden: Json, present: Json) -> list[str]:
    """What the present schema lost of the golden one, or asks for anew. Both may hold references.

    A field that is gone, one of another type, and one that old events need not have.
    """
    return list(_shrinkages(resolved(golden), resolved(present), "data"))


def fields_of(schema: Json) -> Iterator[str]:
    """The name of every field at any depth of a resolved schema."""
    for name, inner in schema.get("properties", {}).items():
        yield name
        yield from fields_of(inner)
    for inner in (schema.get("items"), *schema.get("anyOf", ())):
        if isinstance(inner, Mapping):
            yield from fields_of(inner)


def _resolved(node: Any, root: Json) -> Any:
    if isinstance(node, list):
        return [_resolved(one, root) for one in node]
    if not isinstance(node, Mapping):
        return node
    if "$ref" in node:
        target: Any = root
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return _resolved(target, root)
    return {
        name: _fields(value, root) if name == "properties" else _resolved(value, root)
        for name, value in node.items()
        if name not in _WORDS
    }


def _fields(properties: Json, root: Json) -> dict[str, Any]:
    """Apart, because a field may well be called `title`."""
    return {name: _resolved(schema, root) for name, schema in properties.items()}


def _shrinkages(golden: Json, present: Json, path: str) -> Iterator[str]:
    if "properties" in golden and "properties" in present:
        yield from _object_shrinkages(golden, present, path)
    elif golden.get("type") == present.get("type") == "array":
        yield from _shrinkages(golden.get("items", {}), present.get("items", {}), f"{path}[]")
        yield from _retyped(_without(golden, "items"), _without(present, "items"), path)
    elif len(golden.get("anyOf", ())) == len(present.get("anyOf", ())) > 0:
        for one, other in zip(golden["anyOf"], present["anyOf"], strict=True):
            yield from _shrinkages(one, other, path)
    else:
        yield from _retyped(golden, present, path)


def _object_shrinkages(golden: Json, present: Json, path: str) -> Iterator[str]:
    for name, schema in golden["properties"].items():
        if name in present["properties"]:
            yield from _shrinkages(schema, present["properties"][name], f"{path}.{name}")
        else:
            yield f"{path}.{name} is gone"
    for name in present.get("required", ()):
        if name not in golden.get("required", ()):
            yield f"{path}.{name} is required now"
    rest = ("properties", "required")
    yield from _retyped(_without(golden, *rest), _without(present, *rest), path)


def _retyped(golden: Json, present: Json, path: str) -> Iterator[str]:
    if golden != present:
        yield f"{path} was {dict(golden)} and is {dict(present)}"


def _without(schema: Json, *names: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name not in names}
