"""A bad body gets the right 4xx problem, which says where, and never hears itself back."""

import json
from typing import Any

import pytest

from tests.integration.shared.forms import BAD, CANARY, fill, pointers
from tests.integration.shared.small_service import Small


@pytest.mark.parametrize("field", list(BAD))
async def test_no_bad_value_of_a_field_gets_through(forms: Small, field: str) -> None:
    for value in BAD[field]:
        answer = await fill(forms, f'{{"{field}":{value}}}')
        assert pointers(answer) == [f"/{field}"], value
        assert all(error["detail"] for error in answer.json()["errors"])


GOOD: list[tuple[str, Any, Any]] = [
    ("name", "王小明", "王小明"),
    ("name", " 欧阳\u3000娜娜 ", "欧阳\u3000娜娜"),
    ("name", "e\u0301", "é"),
    ("name", "👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
    ("name", "\U00031350", "\U00031350"),  # a character of Unicode 15, newer than our tables
    ("points", 10_000_000, 10_000_000),
    ("fen", 0, 0),
    ("at", "2026-11-23T16:00:00+08:00", "2026-11-23T08:00:00Z"),
    ("at", "2028-02-29T23:59:59.999999Z", "2028-02-29T23:59:59.999999Z"),
    ("at", "2026-11-23T22:00:00+14:00", "2026-11-23T08:00:00Z"),
    (
        "extra",
        {"a": {"b": [1, -0.0, 2**53 - 1, None, "é\n"]}},
        {"a": {"b": [1, -0.0, 2**53 - 1, None, "é\n"]}},
    ),
]


@pytest.mark.parametrize(("field", "given", "understood"), GOOD)
async def test_what_is_good_is_understood(
    forms: Small, field: str, given: Any, understood: Any
) -> None:
    answer = await fill(forms, json.dumps({field: given}))
    assert answer.status_code == 200, answer.text
    assert answer.json()["form"] == {field: understood}


MALFORMED = {
    "nothing": b"",
    "half": b'{"name":',
    "invalid UTF-8": b'{"name":"\xff\xfe"}',
    "a cut character": b'{"name":"\xe4\xb8"}',
    "UTF-16 without a mark": '{"name":"x"}'.encode("utf-16-le")[:-1],
    "5,000 digits": b'{"points":' + b"9" * 5000 + b"}",
    "100,000 arrays": b"[" * 100_000,
    "100,000 objects": b'{"a":' * 100_000,
    "closed 100,000 arrays": b"[" * 100_000 + b"]" * 100_000,
    "400 levels": b'{"extra":' + b'{"a":' * 400 + b"1" + b"}" * 401,
    "a text": b'"x"',
    "null": b"null",
    "an array": b"[{}]",
    "a number": b"1",
    "single quotes": b"{'name':'x'}",
    "a comment": b'{"name":"x"} // no',
    "two documents": b"{}{}",
}


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "k-1"}], ids=["", "under a key"])
@pytest.mark.parametrize("body", list(MALFORMED))
async def test_a_malformed_body_is_the_callers_mistake(
    forms: Small, body: str, key: dict[str, str]
) -> None:
    answer = await fill(forms, MALFORMED[body], **key)
    assert answer.status_code in (400, 422), answer.text
    pointers(answer, status=answer.status_code)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "multipart/form-data", "", "application/x; ;"]
)
async def test_a_body_of_another_type_is_refused(forms: Small, content_type: str) -> None:
    answer = await fill(forms, b'{"name":"x"}', **{"Content-Type": content_type})
    assert answer.status_code in (400, 415, 422)
    pointers(answer, status=answer.status_code)


async def test_unknown_fields_are_named_but_their_values_are_not(forms: Small) -> None:
    answer = await fill(forms, json.dumps({"tier/x~y": CANARY, "points": CANARY}))
    assert sorted(pointers(answer)) == ["/points", "/tier~1x~0y"]


async def test_a_made_up_field_name_is_cut_and_cleaned_before_it_is_shown(forms: Small) -> None:
    answer = await fill(forms, '{"\\u0000\\u202e' + "x" * 300 + '":1}')
    assert pointers(answer) == ["/??" + "x" * 62]


async def test_a_field_name_that_is_no_text_makes_the_whole_body_wrong(forms: Small) -> None:
    assert pointers(await fill(forms, '{"\\ud800":1}')) == [""]


async def test_of_a_thousand_mistakes_the_first_few_are_told(forms: Small) -> None:
    answer = await fill(forms, json.dumps({f"field_{n}": n for n in range(1000)}))
    assert len(pointers(answer)) == 20


async def test_of_two_fields_of_one_name_the_last_counts(forms: Small) -> None:
    answer = await fill(forms, b'{"points":1,"points":2}')
    assert answer.json()["form"] == {"points": 2}


@pytest.mark.parametrize(
    ("language", "detail"),
    [("en", "must be an integer"), ("zh", "必须是整数"), ("", "必须是整数"), ("fr", "必须是整数")],
)
async def test_the_mistake_is_told_in_the_callers_language(
    forms: Small, language: str, detail: str
) -> None:
    answer = await fill(forms, b'{"points":"1"}', **{"Accept-Language": language})
    assert answer.json()["errors"] == [{"pointer": "/points", "detail": detail}]
