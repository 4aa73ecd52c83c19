"""Who calls the public API today can call it tomorrow: operations, fields and types only grow.

A new operation gets its golden entry, which is committed with it, by

    python -m tests.contract.golden

which writes only what is missing. Fields added to an operation need no entry.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.policy import OPERATIONS
from tests.contract.golden import write_missing_operations
from tests.contract.operations import GOLDEN, present_operations, shrunk, summary

Json = dict[str, Any]


def golden() -> dict[str, Json]:
    found: dict[str, Json] = json.loads(GOLDEN.read_text("utf-8"))
    return found


def test_operations_only_grow() -> None:
    assert shrunk(golden=golden(), present=present_operations()) == []


def test_every_operation_has_its_golden_entry() -> None:
    assert golden().keys() == {operation.id for operation in OPERATIONS}


def test_an_entry_names_what_is_sent_and_what_comes_back() -> None:
    order = golden()["record_order"]
    assert (order["method"], order["path"]) == ("POST", "/v1/orders")
    assert order["required"]["body.items[].sku"] == "string"
    assert order["required"]["header.Idempotency-Key"] == "string"
    assert order["optional"]["body.channel"] == "null|string"
    assert order["replies"]["201"]["reply.points.earned"] == "integer"
    assert golden()["show_wallet"]["required"] == {"path.member_id": "string"}


def changed(change: Callable[[Json], object]) -> list[str]:
    """What is found when one golden operation is offered in another way."""
    old = {"record_order": golden()["record_order"]}
    new = copy.deepcopy(old)
    change(new["record_order"])
    return shrunk(golden=old, present=new)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda one: one.update(method="PUT"), "moved to PUT /v1/orders"),
        (lambda one: one.update(path="/v1/sales"), "moved to POST /v1/sales"),
        (lambda one: one["required"].pop("body.paid_at"), "body.paid_at is not taken any more"),
        (lambda one: one["optional"].pop("body.channel"), "body.channel is not taken any more"),
        (
            lambda one: one["required"].update({"body.paid_fen": "string"}),
            "body.paid_fen was integer and is string",
        ),
        (lambda one: one["required"].update({"body.shop": "string"}), "body.shop is required now"),
        (
            lambda one: one["required"].update({"body.items[].shop": "string"}),
            "body.items[].shop is required now",
        ),
        (
            lambda one: one["required"].update({"query.shop": "string"}),
            "query.shop is required now",
        ),
        (
            lambda one: one["required"].update({"body.channel": one["optional"]["body.channel"]}),
            "body.channel is required now",
        ),
        (lambda one: one["replies"].pop("201"), "never answers 201 any more"),
        (
            lambda one: one["replies"]["201"].pop("reply.points.earned"),
            "reply.points.earned is gone",
        ),
        (
            lambda one: one["replies"]["201"].update({"reply.points.earned": "integer|null"}),
            "reply.points.earned was integer and is integer|null",
        ),
    ],
)
def test_what_breaks_callers_is_found(change: Callable[[Json], object], found: str) -> None:
    assert changed(change) == [f"record_order: {found}"]


def test_an_operation_that_is_gone_is_found() -> None:
    assert shrunk(golden={"record_order": {}}, present={}) == ["record_order is gone"]


def test_growth_is_let_through() -> None:
    def grow(one: Json) -> None:
        one["optional"]["body.gift"] = "null|object"
        one["required"]["body.gift.sku"] = "string"
        one["optional"]["body.paid_at"] = one["required"].pop("body.paid_at")
        one["required"]["body.paid_fen"] = "number"
        one["replies"]["201"]["reply.gift"] = "string"
        one["replies"]["202"] = {}

    assert changed(grow) == []


def test_references_and_choices_are_followed() -> None:
    document = {
        "components": {
            "schemas": {
                "Line": {"type": "object", "properties": {"sku": {"type": "string"}}},
            }
        }
    }
    line = {"$ref": "#/components/schemas/Line"}
    schema = {"type": "array", "items": {"anyOf": [line, {"type": "null"}]}}
    operation = {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}
    found = summary(operation, document, "get", "/v1/lines")
    assert found["replies"] == {"200": {"reply": "array", "reply[].sku": "string"}}


def test_golden_entries_are_written_once_and_never_again(tmp_path: Path) -> None:
    file = tmp_path / "operations.json"
    promised = {**golden(), "show_wallet": {"path": "as promised"}}
    removed = promised.pop("record_order")
    file.write_text(json.dumps(promised))
    assert write_missing_operations(file) == ["record_order"]
    found = json.loads(file.read_text("utf-8"))
    assert found["show_wallet"] == {"path": "as promised"}
    assert set(removed) == set(found["record_order"])
    assert write_missing_operations(file) == []
