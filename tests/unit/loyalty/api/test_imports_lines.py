"""Lines of a history are read as strictly as the API reads an order."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from services.loyalty.api.imports_lines import CSV, NDJSON, FileRefused, reader_of
from services.loyalty.api.imports_lines_orders import ORDER_LINES
from services.loyalty.domain.imports import LineRefusal
from services.loyalty.domain.imports_lines import RawLine
from services.loyalty.domain.imports_orders import OrderLine
from services.loyalty.domain.members import GivenIdentity

LINE: dict[str, Any] = {
    "order_id": "SO-1",
    "identity_value": "customer-7",
    "paid_fen": 25900,
    "paid_at": "2026-01-05T10:00:00+08:00",
}
READ = OrderLine(
    line=1,
    reference="SO-1",
    member_id=None,
    identity=GivenIdentity(kind="external", app_id="", value="customer-7"),
    paid_fen=25900,
    refunded_fen=0,
    paid_at=datetime(2026, 1, 5, 2, 0, tzinfo=UTC),
)
MEMBER = "mem_01kb3f8v2q0000000000000000"


def _ndjson(content: bytes | None) -> OrderLine | LineRefusal | None:
    return reader_of(NDJSON, ORDER_LINES).read(RawLine(number=1, content=content))


def _written(**fields: Any) -> bytes:
    given = {name: value for name, value in {**LINE, **fields}.items() if value is not None}
    return json.dumps(given, ensure_ascii=False).encode()


def _csv(*lines: str) -> list[OrderLine | LineRefusal | None]:
    reader = reader_of(CSV, ORDER_LINES)
    raws = [RawLine(number=n, content=line.encode()) for n, line in enumerate(lines, start=1)]
    return [reader.read(raw) for raw in raws]


def test_an_order_is_read() -> None:
    assert _ndjson(_written()) == READ


def test_a_member_may_be_named_by_id_or_by_phone() -> None:
    by_id = _ndjson(_written(identity_value=None, member_id=MEMBER))
    by_phone = _ndjson(_written(identity_kind="phone", identity_value="138 0013 8000"))

    assert isinstance(by_id, OrderLine)
    assert (by_id.member_id, by_id.identity) == (MEMBER, None)
    assert isinstance(by_phone, OrderLine)
    assert by_phone.identity == GivenIdentity(kind="phone", app_id="", value="+8613800138000")


@pytest.mark.parametrize(
    ("content", "code", "pointer"),
    [
        (None, "line_too_long", None),
        (b"\xff\xfe{}", "not_utf8", None),
        (b"{", "malformed_line", None),
        (b"[]", "malformed_line", None),
        (b'{"a":' * 5000, "malformed_line", None),
        (_written(paid_fen=float("nan")), "invalid", "/paid_fen"),
        (_written(order_id=None), "missing", "/order_id"),
        (_written(paid_at=None), "missing", "/paid_at"),
        (_written(colour="red"), "extra_forbidden", None),
        (_written(order_id="a b"), "invalid", "/order_id"),
        (_written(order_id="SO-1\x00"), "invalid", "/order_id"),
        (_written(paid_fen="25900"), "invalid", "/paid_fen"),
        (_written(paid_fen=259.0), "invalid", "/paid_fen"),
        (_written(paid_fen=True), "invalid", "/paid_fen"),
        (_written(paid_fen=-1), "invalid", "/paid_fen"),
        (_written(paid_fen=10**30), "invalid", "/paid_fen"),
        (_written(paid_at="2026-01-05T10:00:00"), "invalid", "/paid_at"),
        (_written(paid_at="1949-10-01T10:00:00+08:00"), "invalid", "/paid_at"),
        (_written(refunded_fen=25901), "refunded_above_paid", "/refunded_fen"),
        (
            _written(completed_at="2026-01-05T09:59:59+08:00"),
            "completed_before_paid",
            "/completed_at",
        ),
        (_written(identity_value=None), "member_missing", "/identity_value"),
        (_written(member_id=MEMBER), "member_ambiguous", "/member_id"),
        (_written(identity_kind="passport"), "invalid", "/identity_kind"),
        (_written(identity_kind="phone", identity_value="12"), "phone_invalid", "/identity_value"),
        (_written(identity_value="\u202e"), "identity_malformed", "/identity_value"),
        (_written(identity_kind="wechat_openid"), "app_id_required", "/app_id"),
    ],
)
def test_a_line_that_cannot_be_an_order_is_refused_where_it_fails(
    content: bytes | None, code: str, pointer: str | None
) -> None:
    refusal = _ndjson(content)

    assert isinstance(refusal, LineRefusal)
    assert (refusal.code, refusal.pointer) == (code, pointer)


def test_csv_is_read_by_its_header_with_empty_values_as_none() -> None:
    header, order = _csv(
        "paid_at,order_id,refunded_fen,paid_fen,identity_value,member_id",
        "2026-01-05T10:00:00+08:00,SO-1,,25900,customer-7,",
    )

    assert header is None
    assert isinstance(order, OrderLine)
    assert order == OrderLine(**{**READ.__dict__, "line": 2})


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("SO-1,customer-7,25900", "malformed_line"),
        ("SO-1,customer-7,25900,2026-01-05T10:00:00+08:00,", "malformed_line"),
        ('SO-1,"customer-7,25900,2026-01-05T10:00:00+08:00', "malformed_line"),
        ("SO-1,customer-7, 25900,2026-01-05T10:00:00+08:00", "invalid"),
        ("SO-1,customer-7,259.00,2026-01-05T10:00:00+08:00", "invalid"),
        ("SO-1,customer-7,25_900,2026-01-05T10:00:00+08:00", "invalid"),
        ("SO-1,customer-7,２５９００,2026-01-05T10:00:00+08:00", "invalid"),
        ("SO-1,customer-7,,2026-01-05T10:00:00+08:00", "missing"),
        ("SO-1,,25900,2026-01-05T10:00:00+08:00", "member_missing"),
    ],
)
def test_a_csv_line_is_held_to_the_same_rules(line: str, code: str) -> None:
    _, refusal = _csv("order_id,identity_value,paid_fen,paid_at", line)

    assert isinstance(refusal, LineRefusal)
    assert (refusal.line, refusal.code) == (2, code)


@pytest.mark.parametrize(
    "header",
    [
        "order_id,paid_fen,paid_at",
        "order_id,identity_value,paid_fen",
        "order_id,identity_value,paid_fen,paid_at,colour",
        "order_id,order_id,identity_value,paid_fen,paid_at",
        '"order_id,identity_value,paid_fen,paid_at',
        "SO-1,customer-7,25900,2026-01-05T10:00:00+08:00",
    ],
)
def test_a_csv_file_with_another_header_is_refused_as_a_whole(header: str) -> None:
    with pytest.raises(FileRefused) as refused:
        _csv(header)
    assert refused.value.code == "csv_header_invalid"


def test_a_csv_file_without_a_header_is_refused_and_an_empty_ndjson_file_is_not() -> None:
    with pytest.raises(FileRefused) as refused:
        reader_of(CSV, ORDER_LINES).end()
    assert refused.value.code == "csv_header_missing"
    reader_of(NDJSON, ORDER_LINES).end()
