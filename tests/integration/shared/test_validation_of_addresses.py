"""A bad path, query, header or cursor gets the right 4xx problem too."""

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from tests.integration.shared.forms import MEMBER, pointers
from tests.integration.shared.small_service import Small

PAGE = f"/v1/members/{MEMBER}/pages/1"
NO_PATH = [
    "%00",
    "a%00b",
    "%ED%A0%80",
    "%FF",
    "..%2F..",
    "%E4%B8%AD",
    "x" * 5000,
    f"{MEMBER}%0A",
    "1%27%20or%201=1",
    MEMBER.upper(),
]


@pytest.mark.parametrize("member", NO_PATH)
async def test_a_path_that_cannot_name_anything_is_not_found(forms: Small, member: str) -> None:
    for path in (f"/v1/members/{member}/pages/1", f"/v1/members/{MEMBER}/pages/{member}"):
        answer = await forms.call("show_page", "GET", path)
        pointers(answer, status=404)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=1e2", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("limit=%00", "limit"),
        ("limit=", "limit"),
        ("limit=1.5", "limit"),
        ("cursor=" + "A" * 513, "cursor"),
        ("after=1764000000", "after"),
        ("after=%00", "after"),
        ("after=2026-11-23", "after"),
    ],
)
async def test_a_bad_query_is_pointed_at(forms: Small, query: str, field: str) -> None:
    assert pointers(await forms.call("show_page", "GET", f"{PAGE}?{query}")) == [f"?{field}"]


@pytest.mark.parametrize(
    "cursor",
    ["%00", "x", "W10", "%FF%FE", "eyJhIjoxfQ", "WyJhIiwxXQ==x", "WzEsMV0", "中", "W" * 512],
)
async def test_a_cursor_that_we_did_not_make_is_refused(forms: Small, cursor: str) -> None:
    answer = await forms.call("show_page", "GET", f"{PAGE}?cursor={cursor}")
    assert pointers(answer) == []
    assert answer.json()["code"] == "invalid_cursor"


@pytest.mark.parametrize("value", [b"\x00", b"\xff", b"A", b" ", b"a" * 9000 + b"1"])
async def test_a_bad_header_is_pointed_at(forms: Small, value: bytes) -> None:
    answer = await forms.call("show_page", "GET", PAGE, headers={"X-Note": value})
    assert pointers(answer) == ["@x-note"]


@pytest.mark.parametrize("host", ["[", "a b", "x" * 3000, "\xff", "localhost:99999999"])
async def test_a_broken_host_header_or_query_breaks_nothing(forms: Small, host: str) -> None:
    wrong = await forms.call(
        "show_page", "GET", f"{PAGE}?limit=0", headers={"Host": host.encode("latin-1")}
    )
    assert pointers(wrong) == ["?limit"]
    answer = await forms.bump(headers={"Host": host.encode("latin-1")})
    assert answer.status_code == 201


async def test_bytes_that_are_no_text_in_a_query_break_nothing(forms: Small) -> None:
    async def with_query(scope: Scope, receive: Receive, send: Send) -> None:
        await forms.app({**scope, "query_string": b"x=\xff\xfe"}, receive, send)

    headers = {"Authorization": f"Bearer {forms.token('fill_form')}"}
    transport = httpx.ASGITransport(with_query)
    async with httpx.AsyncClient(transport=transport, base_url="http://small") as http:
        answer = await http.post("/v1/forms", json={"points": 0}, headers=headers)
    assert pointers(answer) == ["?x"]


async def test_what_does_not_exist_is_told_so(forms: Small) -> None:
    pointers(await forms.call("none", "GET", "/v1/nowhere"), status=404)
    answer = await forms.call("fill_form", "DELETE", "/v1/forms")
    pointers(answer, status=405)
    assert answer.headers["allow"] == "POST"
