"""Examples of replies, whole: FastAPI leaves every null out of them, as out of all it describes."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.domain.openapi_parts import Json

_SCHEMAS: Final = "#/components/schemas/"


def with_whole_examples(operation: Json, *, schemas: Mapping[str, Json]) -> Json:
    """An operation whose replies' examples have null where their schemas require a field."""
    answers = {
        status: {**answer, "content": _whole_content(answer["content"], schemas)}
        if "content" in answer
        else answer
        for status, answer in operation["responses"].items()
    }
    return {**operation, "responses": answers}


def _whole_content(content: Json, schemas: Mapping[str, Json]) -> Json:
    return {
        media: {**shown, "example": _whole(shown["example"], shown["schema"], schemas)}
        if "example" in shown
        else shown
        for media, shown in content.items()
    }


def _whole(example: Any, schema: Json, schemas: Mapping[str, Json]) -> Any:
    if "$ref" in schema:
        return _whole(example, schemas[schema["$ref"].removeprefix(_SCHEMAS)], schemas)
    if "anyOf" in schema:
        real = [one for one in schema["anyOf"] if one != {"type": "null"}]
        return _whole(example, real[0], schemas) if len(real) == 1 else example
    if isinstance(example, list):
        return [_whole(one, schema.get("items", {}), schemas) for one in example]
    if not isinstance(example, dict) or "properties" not in schema:
        return example
    missing = [name for name in schema.get("required", ()) if name not in example]
    whole = {**example, **dict.fromkeys(missing)}
    known = {name: one for name, one in schema["properties"].items() if name in whole}
    return {name: _whole(whole[name], one, schemas) for name, one in known.items()} | {
        name: one for name, one in whole.items() if name not in known
    }
