"""The rule that schemas only grow, seen to fail on made-up schemas."""

from typing import Any

import pytest

from tests.contract.growth import shrinkages

Json = dict[str, Any]
TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer"}
NOTHING: Json = {"type": "null"}


def made_up(required: tuple[str, ...] = ("order_id",), **properties: Json) -> Json:
    known: Json = {"order_id": TEXT, "paid_fen": WHOLE}
    return {
        "type": "object",
        "properties": {name: one for name, one in {**known, **properties}.items() if one},
        "required": list(required),
    }


def with_lines(line: Json) -> Json:
    lines = {"type": "array", "items": {"$ref": "#/$defs/Line"}}
    return {**made_up(lines=lines), "$defs": {"Line": line}}


@pytest.mark.parametrize(
    ("present", "found"),
    [
        (made_up(paid_fen={}), "data.paid_fen is gone"),
        (made_up(paid_fen={}, paid=WHOLE), "data.paid_fen is gone"),
        (made_up(paid_fen=TEXT), "data.paid_fen was"),
        (made_up(paid_fen={"anyOf": [WHOLE, NOTHING]}), "data.paid_fen was"),
        (made_up(paid_fen={"type": "integer", "minimum": 1}), "data.paid_fen was"),
        (made_up(order_id={"type": "string", "enum": ["a"]}), "data.order_id was"),
        (made_up(("order_id", "channel"), channel=TEXT), "data.channel is required now"),
        (made_up(("order_id", "paid_fen")), "data.paid_fen is required now"),
        ({**made_up(), "additionalProperties": False}, "data was"),
    ],
)
def test_what_breaks_readers_is_found(present: Json, found: str) -> None:
    (one,) = shrinkages(golden=made_up(), present=present)
    assert one.startswith(found)


@pytest.mark.parametrize(
    "present",
    [
        made_up(),
        made_up(channel=TEXT),
        made_up(title=TEXT),
        made_up(paid_fen={"type": "integer", "title": "Paid", "description": "In fen."}),
        made_up(()),
    ],
)
def test_growth_is_let_through(present: Json) -> None:
    assert shrinkages(golden=made_up(), present=present) == []


def test_a_field_called_like_a_word_about_schemas_is_a_field() -> None:
    assert shrinkages(golden=made_up(title=TEXT), present=made_up()) == ["data.title is gone"]


def test_what_breaks_inside_a_list_is_found() -> None:
    golden = with_lines(made_up())
    assert shrinkages(golden=golden, present=with_lines(made_up(note=TEXT))) == []
    lost = with_lines(made_up(paid_fen={}))
    assert shrinkages(golden=golden, present=lost) == ["data.lines[].paid_fen is gone"]


def test_what_breaks_inside_a_choice_is_found() -> None:
    golden = made_up(line={"anyOf": [made_up(), NOTHING]})
    lost = made_up(line={"anyOf": [made_up(paid_fen={}), NOTHING]})
    assert shrinkages(golden=golden, present=lost) == ["data.line.paid_fen is gone"]
    retyped = made_up(line={"anyOf": [TEXT, NOTHING]})
    assert len(shrinkages(golden=golden, present=retyped)) == 1
