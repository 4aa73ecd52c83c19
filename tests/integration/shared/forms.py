"""A form with a field of every type, and what must never get into it."""

import json
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Header, Response

from shared.http.fields import (
    ExternalId,
    Fen,
    JsonObject,
    Line,
    LongLine,
    MemberId,
    Moment,
    Points,
    PositiveFen,
    Quantity,
    ReplyModel,
    RequestModel,
)
from shared.http.paging import CursorQuery, LimitQuery
from shared.http.writes import OpenWrite, Reply
from shared.kernel.paging import decode_cursor
from tests.integration.shared.small_service import Small

MEMBER = "mem_01kb0000000000000000000000"
CANARY = "kanarienvogel"


class Form(RequestModel):
    """One field of every type."""

    member_id: MemberId | None = None
    order_id: ExternalId | None = None
    name: Line | None = None
    reason: LongLine | None = None
    points: Points | None = None
    fen: Fen | None = None
    paid_fen: PositiveFen | None = None
    quantity: Quantity | None = None
    at: Moment | None = None
    extra: JsonObject | None = None


class Filled(ReplyModel):
    """What was understood."""

    form: dict[str, Any]


def form_router() -> APIRouter:
    """A write with a body, and a read with a path, a query and a header."""
    router = APIRouter()

    @router.post("/v1/forms", operation_id="fill_form")
    async def fill_form(body: Form, write: OpenWrite) -> Response:
        async def keep(_: object) -> Filled:
            return Filled(form=body.model_dump(mode="json", exclude_unset=True))

        return await write.run(keep, reply=lambda filled: Reply(body=filled))

    @router.get("/v1/members/{member_id}/pages/{number}", operation_id="show_page")
    async def show_page(
        member_id: MemberId,
        number: int,
        limit: LimitQuery = 50,
        cursor: CursorQuery = None,
        after: Moment | None = None,
        x_note: Annotated[str | None, Header(pattern="^[a-z]+$")] = None,
    ) -> dict[str, object]:
        return {"after": after, "cursor": decode_cursor(cursor, str, int) if cursor else None}

    return router


async def fill(forms: Small, raw: bytes | str, **headers: str) -> httpx.Response:
    """Send a body as it stands, in the rawest form."""
    sent: dict[str, str] = {"Content-Type": "application/json", **headers}
    return await forms.call("fill_form", "POST", "/v1/forms", content=raw, headers=sent)


def pointers(answer: httpx.Response, *, status: int = 422) -> list[str]:
    """Where the problem points, once it is known to be one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert "{" not in problem["title"] + problem["detail"]
    assert CANARY not in answer.text
    return [error["pointer"] for error in problem.get("errors", [])]


NO_TEXT = [
    "1",
    "true",
    "[]",
    "{}",
    '"\\u0000"',
    '"a\\u0000b"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\u202e"',
    '"\\ufeff"',
    '"\\uffff"',
    '"\\u001b[2J"',
    '""',
    '"  "',
    '"a\\nb"',
    '"a\\u2028b"',
    json.dumps("x" * 501),
    json.dumps("é" * 100_000),
]
NO_ID = [*NO_TEXT, '"a b"', '"../x"', '"-a"', '"中"', '"a\\n"', '"%00"', '"\' or 1=1 --"']
NO_COUNT = [
    "-1",
    "1.0",
    "1.5",
    "1e3",
    '"1"',
    "true",
    "[1]",
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    str(2**31 * 10**5),
    str(2**53),
    str(2**63),
    str(-(2**63)),
    str(2**64),
    "9" * 400,
]
NO_MOMENT = [
    "1764000000",
    "1764000000.5",
    "true",
    "[]",
    '"1764000000"',
    '"2026-11-23"',
    '"2026-11-23T08:00:00"',
    '"2026-13-01T00:00:00Z"',
    '"2026-02-29T00:00:00Z"',
    '"1989-12-31T23:59:59Z"',
    '"2100-01-01T00:00:00Z"',
    '"0001-01-01T00:00:00+14:00"',
    '"9999-12-31T23:59:59-14:00"',
    '"now"',
    '"\\u0000"',
    '"２０２６-11-23T08:00:00Z"',
]
NO_JSON_OBJECT = [
    "[]",
    '"x"',
    "1",
    '{"a":"\\u0000"}',
    '{"\\u0000":1}',
    '{"\\ud800":1}',
    '{"a":[{"b":[{"c":[1]}]}]}',
    '{"a":NaN}',
    '{"a":-Infinity}',
    '{"a":1e999}',
    f'{{"a":{2**53}}}',
    f'{{"a":-{2**63}}}',
    json.dumps({"a": list(range(201))}),
    json.dumps({str(n): n for n in range(201)}),
]
BAD = {
    "member_id": [*NO_ID, f'"{MEMBER.upper()}"', f'"{MEMBER}0"', f'"vch{MEMBER[3:]}"'],
    "order_id": NO_ID,
    "name": [*NO_TEXT, json.dumps("x" * 101)],
    "reason": NO_TEXT,
    "points": [*NO_COUNT, "0", "10000001"],
    "fen": [*NO_COUNT, "10000000001"],
    "paid_fen": [*NO_COUNT, "0"],
    "quantity": [*NO_COUNT, "0", "100001"],
    "at": NO_MOMENT,
    "extra": NO_JSON_OBJECT,
}
