"""Every type of event in the published language, and an example of each."""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import shared.contracts
from shared.contracts.envelope import CloudEvent, EventData
from tests.contract.growth import Json, resolved

GOLDEN: Final = Path(__file__).parent / "events"

_MEMBER: Final = "mem_01kb0t6v3mvc8qd2x5n7h9r4ek"
_TIME: Final = "2026-11-23T04:00:00Z"
#: What fields say in examples, by name; the others say something of their type.
_SAID: Final[Mapping[str, Any]] = {
    "subject": _MEMBER,
    "member_id": _MEMBER,
    "member_ids": [_MEMBER, "mem_01kb0t6v3mvc8qd2x5n7h9r4em"],
    "referee_id": _MEMBER,
    "beneficiary_id": _MEMBER,
    "other_member_id": "mem_01kb0t6v3mvc8qd2x5n7h9r4em",
    "referrer_id": "mem_01kb0t5s1gtb6nb0v3j5f7p2ch",
    "order_id": "order-20261123-0001",
    "refund_id": "refund-20261123-0001",
    "referral_code": "K7MPXQ4W",
    "paid_fen": 29_900,
    "amount_fen": 2_000,
    "threshold_fen": 0,
    "validity_days": 30,
    "channel": "mini_program",
    "cause_kind": "order",
    "cause_id": "order-20261123-0001",
    "from_tier": "regular",
    "to_tier": "silver",
    "scopes": ["members:read", "members:write"],
}


def event_types() -> dict[str, type[EventData]]:
    """By their names; fails when two share one."""
    found: dict[str, type[EventData]] = {}
    for module in pkgutil.iter_modules(shared.contracts.__path__, "shared.contracts."):
        contents = vars(importlib.import_module(module.name)).values()
        for one in contents:
            if inspect.isclass(one) and issubclass(one, EventData) and one is not EventData:
                assert found.get(one.type, one) is one, f"two classes are called {one.type}"
                found[one.type] = one
    return found


def producer_of(event: type[EventData]) -> str:
    """The service that publishes it."""
    return event.__module__.split(".")[2]


def example_of(event: type[EventData]) -> dict[str, Any]:
    """A complete event as the feed carries it, every field of its data said."""
    data: dict[str, Any] = _example(resolved(event.model_json_schema()), "data")
    subject = next(data[name] for name in ("import_id", "referral_id", *data) if name in data)
    envelope = CloudEvent(
        id="018b2f8e-7c1a-7b3e-9f00-5d2a6c4e8f10",
        source=f"/huitou/{producer_of(event)}",
        type=event.type,
        subject=str(data.get("member_id", subject)),
        time=_TIME,
        pos=42,
        subjectversion=3,
        epoch="3f0c8a52-6f0e-4f57-8b9c-0e6a1d2b3c4d",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        data=event.model_validate(data).model_dump(mode="json"),
    )
    return envelope.model_dump(mode="json")


def _example(schema: Json, name: str) -> Any:
    if "properties" in schema:
        return {field: _example(one, field) for field, one in schema["properties"].items()}
    if name in _SAID:
        return _SAID[name]
    if "const" in schema or "enum" in schema:
        return schema.get("const") or schema["enum"][0]
    if "anyOf" in schema:
        return _example(next(one for one in schema["anyOf"] if one["type"] != "null"), name)
    return _plain(schema, name)


def _plain(schema: Json, name: str) -> Any:
    if schema["type"] == "array":
        return [_example(schema["items"], name)]
    if schema["type"] == "string":
        formats = {"date-time": _TIME, "date": _TIME[:10]}
        return formats.get(schema.get("format", ""), f"some_{name}")
    return {"integer": 100, "boolean": True}[schema["type"]]
