"""Events that were ever published stay readable, by old readers and by new ones.

A new type of event gets its golden files, which are committed with it, by

    python -m tests.contract.golden

which writes only what is missing. A golden file that is there is never changed: what must change
becomes a new type, with the next number at the end of its name.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from shared.contracts.envelope import CloudEvent, EventData
from tests.contract import events
from tests.contract.golden import write_missing_events
from tests.contract.growth import fields_of, resolved, shrinkages

TYPES: Final = events.event_types()
PERSONAL: Final = re.compile(
    r"phone|mobile|open_?id|union_?id|nickname|birthday|e_?mail|(?:^|_)name(?:_|$)"
)


def golden(name: str, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((events.GOLDEN / f"{name}.{kind}.json").read_text("utf-8"))
    return found


def personal(schema: dict[str, Any]) -> list[str]:
    return [name for name in fields_of(resolved(schema)) if PERSONAL.search(name)]


def kept(said: Any, read: Any) -> bool:
    """Whether what was said is in what was read, which may hold newer fields besides."""
    if isinstance(said, dict):
        return all(name in read and kept(value, read[name]) for name, value in said.items())
    if isinstance(said, list):
        return len(said) == len(read) and all(map(kept, said, read))
    return bool(said == read)


def test_every_type_has_its_golden_files_and_every_golden_file_its_type() -> None:
    wanted = {f"{name}.{kind}.json" for name in TYPES for kind in ("schema", "example")}
    assert {path.name for path in events.GOLDEN.iterdir()} == wanted


@pytest.mark.parametrize("name", sorted(TYPES))
def test_an_events_schema_only_grows(name: str) -> None:
    present = TYPES[name].model_json_schema()
    assert shrinkages(golden=golden(name, "schema"), present=present) == []


@pytest.mark.parametrize("name", sorted(TYPES))
def test_an_event_as_once_published_is_still_read_whole(name: str) -> None:
    example = golden(name, "example")
    envelope = CloudEvent.model_validate(example)
    assert (envelope.type, envelope.source) == (
        name,
        f"/huitou/{events.producer_of(TYPES[name])}",
    )
    assert kept(example, envelope.model_dump(mode="json"))
    data: EventData = TYPES[name].model_validate(envelope.data)
    assert kept(example["data"], data.model_dump(mode="json"))
    assert example["data"].keys() >= set(golden(name, "schema")["properties"])


@pytest.mark.parametrize("name", sorted(TYPES))
def test_no_event_has_a_field_for_who_a_person_is(name: str) -> None:
    assert personal(TYPES[name].model_json_schema()) == []


def test_the_rule_sees_a_field_for_who_a_person_is() -> None:
    line = {"type": "object", "properties": {"real_name": {}, "template_names": {}}}
    made_up = {
        "type": "object",
        "properties": {
            "receiver_phone": {},
            "wechat_openid": {},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
            "contact": {"anyOf": [{"$ref": "#/$defs/Line"}, {"type": "null"}]},
        },
        "$defs": {"Line": line},
    }
    assert personal(made_up) == ["receiver_phone", "wechat_openid", "real_name", "real_name"]


def test_what_an_event_lost_on_the_way_is_noticed() -> None:
    said = {"orders": [{"paid_fen": 1}]}
    assert kept(said, {"orders": [{"paid_fen": 1, "newer": None}], "newer": 1})
    assert not kept(said, {"orders": [{}]})
    assert not kept(said, {"orders": [{"paid_fen": "1"}]})
    assert not kept(said, {"orders": []})


def test_golden_files_are_written_once_and_never_again(tmp_path: Path) -> None:
    assert len(write_missing_events(tmp_path)) == 2 * len(TYPES)
    promised = tmp_path / "order.paid.v1.schema.json"
    promised.write_text("{}")
    (tmp_path / "order.paid.v1.example.json").unlink()
    written = write_missing_events(tmp_path)
    assert [path.name for path in written] == ["order.paid.v1.example.json"]
    assert promised.read_text() == "{}"
