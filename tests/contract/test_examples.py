"""What the public document shows as an example is what its schemas allow."""

from collections.abc import Iterator
from typing import Any, Final

import jsonschema_rs
import pytest

from tests.contract.operations import present_document

Json = dict[str, Any]
#: An uploaded file or one of its lines: no JSON value.
JSON: Final = ("application/json", "application/problem+json")


@pytest.fixture(scope="module")
def document() -> Json:
    return present_document()


def examples_in(document: Json) -> Iterator[tuple[str, Json, Any]]:
    """Each example with its schema, and where it stands."""
    for name, schema in document["components"]["schemas"].items():
        yield from ((name, schema, one) for one in schema.get("examples", ()))
    for operation in (one for path in document["paths"].values() for one in path.values()):
        answers = {**operation["responses"], "body": operation.get("requestBody", {})}
        for status, answer in answers.items():
            yield from _of_content(f"{operation['operationId']} {status}", answer)
    for name, answer in document["components"]["responses"].items():
        yield from _of_content(name, answer)


def _of_content(place: str, answer: Json) -> Iterator[tuple[str, Json, Any]]:
    for media, content in answer.get("content", {}).items():
        named = [one["value"] for one in content.get("examples", {}).values()]
        given = [*named, *([content["example"]] if "example" in content else [])]
        yield from ((place, content["schema"], one) for one in given if media in JSON)


def test_every_example_is_what_its_schema_allows(document: Json) -> None:
    found = list(examples_in(document))
    wrong = []
    for place, schema, example in found:
        whole = {**schema, "components": document["components"]}
        check = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        wrong += [f"{place}: {error.message}" for error in check.iter_errors(example)]
    assert wrong == []


def test_the_operations_used_most_show_what_they_answer(document: Json) -> None:
    shown = {place for place, _, _ in examples_in(document)}
    assert shown >= {
        "enrol_member 201",
        "show_wallet 200",
        "record_order 201",
        "refund_order 201",
        "redeem_points 201",
        "list_point_entries 200",
    }
