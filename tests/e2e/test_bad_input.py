"""Bad input to every operation gets a clear problem of the 400s, and changes nothing."""

from typing import Any, Final

import httpx
import pytest

from gateway.policy import OPERATIONS, Operation
from tests.e2e.storefront import Storefront

WRITES: Final = [one for one in OPERATIONS if one.method in ("POST", "PUT")]
IDS: Final = {
    "member_id": "mem_00000000000000000000000000",
    "order_id": "order-nobody-knows",
    "voucher_id": "vch_00000000000000000000000000",
    "template_id": "vtp_00000000000000000000000000",
    "referral_id": "ref_00000000000000000000000000",
    "reservation_id": "rsv_00000000000000000000000000",
    "notice_id": "exn_00000000000000000000000000",
    "redemption_id": "rdm_00000000000000000000000000",
    "transfer_id": "trf_00000000000000000000000000",
    "adjustment_id": "adj_00000000000000000000000000",
    "merge_id": "mrg_00000000000000000000000000",
    "import_id": "imp_00000000000000000000000000",
    "reconciliation_id": "rcn_00000000000000000000000000",
    "run_id": "run_00000000000000000000000000",
    "key_id": "00000000",
    "parked_id": "999999999",
    "producer": "nobody",
}
#: What is wrong with the body → the body.
BODIES: Final[dict[str, bytes]] = {
    "not json": b"{",
    "not utf-8": b'{"a": "\xff\xfe"}',
    "an array": b"[]",
    "a number": b"7",
    "null": b"null",
    "unknown field": b'{"no_such_field": 1}',
    "not a number": b'{"points": NaN, "paid_fen": NaN, "amount_fen": NaN}',
    "infinity": b'{"points": 1e400, "paid_fen": 1e400, "amount_fen": 1e400}',
    "huge number": b'{"points": 9223372036854775808, "paid_fen": 1' + b"0" * 400 + b"}",
    "nul": b'{"nickname": "a\\u0000b", "reason": "a\\u0000b", "name": "a\\u0000b"}',
    "lone surrogate": b'{"nickname": "\\ud800", "reason": "\\ud800", "name": "\\ud800"}',
    "wrong types": b'{"points": true, "paid_fen": "10", "member_id": 5, "identities": {}}',
    "deeply nested": b"[" * 20_000 + b"]" * 20_000,
}


@pytest.mark.parametrize("operation", WRITES, ids=lambda operation: operation.id)
@pytest.mark.parametrize("wrong", sorted(BODIES))
async def test_a_wrong_body_is_refused(
    storefront: Storefront, operation: Operation, wrong: str
) -> None:
    reply = await call(storefront, operation, content=BODIES[wrong])
    if operation.streamed:
        assert reply.status_code < 500, reply.text
    elif wrong == "null" and operation.id == "start_segment_run":
        assert reply.status_code == 202, "its body may be left out, and null leaves it out"
    else:
        assert_problem(reply, 400, 404, 409, 422)


@pytest.mark.parametrize(
    "operation",
    [one for one in WRITES if not one.streamed],  # an import takes files
    ids=lambda operation: operation.id,
)
async def test_a_body_of_2_mib_is_too_large(storefront: Storefront, operation: Operation) -> None:
    reply = await call(storefront, operation, content=b'{"a": "' + b"x" * 2**21 + b'"}')
    assert_problem(reply, 413)


@pytest.mark.parametrize("operation", WRITES, ids=lambda operation: operation.id)
async def test_a_wrong_content_type_is_refused(
    storefront: Storefront, operation: Operation
) -> None:
    reply = await call(storefront, operation, content=b"a=b", media_type="text/html")
    assert_problem(reply, 415)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
@pytest.mark.parametrize("key", ["", "Bearer", "Bearer x", "Bearer hk_live_12345678_" + "a" * 49])
async def test_a_wrong_key_is_refused(
    storefront: Storefront, operation: Operation, key: str
) -> None:
    reply = await call(storefront, operation, content=b"{}", authorization=key)
    assert_problem(reply, 401)


@pytest.mark.parametrize(
    "operation",
    [one for one in OPERATIONS if "{" in one.path],
    ids=lambda operation: operation.id,
)
@pytest.mark.parametrize("wrong", ["%00", "%ff", "..%2f..", "' or 1=1 --", "x" * 300, "%ed%a0%80"])
async def test_a_path_that_names_nothing_is_refused(
    storefront: Storefront, operation: Operation, wrong: str
) -> None:
    path = operation.path.format_map(dict.fromkeys(IDS, wrong))
    reply = await call(storefront, operation, content=b"{}", path=path)
    assert_problem(reply, 400, 404, 405, 414, 415, 422)


@pytest.mark.parametrize(
    "operation",
    [one for one in OPERATIONS if one.method == "GET"],
    ids=lambda operation: operation.id,
)
@pytest.mark.parametrize(
    "query",
    [
        "cursor=%00",
        "cursor=%ff%fe",
        "limit=-1",
        "limit=1e9",
        "limit=99999999999999999999",
        "as_of=yesterday",
        "as_of=%00",
        "identity_kind=%00&identity_value=%00",
        "state=%00",
    ],
)
async def test_a_wrong_query_is_never_a_fault(
    storefront: Storefront, operation: Operation, query: str
) -> None:
    reply = await storefront.http.get(f"{filled(operation)}?{query}")
    assert reply.status_code < 500, reply.text
    if reply.status_code >= 400:
        assert_problem(reply, 400, 404, 422)


def assert_problem(reply: httpx.Response, *statuses: int) -> None:
    assert reply.status_code in statuses, (reply.status_code, reply.text)
    assert reply.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = reply.json()
    assert problem["status"] == reply.status_code
    assert problem["code"]
    assert problem["title"] != f"problem.{problem['code']}.title", "the text is missing"
    assert problem["request_id"] == reply.headers["x-request-id"]


async def call(
    storefront: Storefront,
    operation: Operation,
    *,
    content: bytes,
    path: str | None = None,
    media_type: str | None = None,
    authorization: str | None = None,
) -> httpx.Response:
    headers = {"Idempotency-Key": storefront.fresh("key")}
    if operation.method in ("POST", "PUT"):
        headers["Content-Type"] = media_type or operation.media_types[0]
    else:
        content = b""
    if authorization is not None:
        headers["Authorization"] = authorization
    return await storefront.http.request(
        operation.method, path or filled(operation), content=content, headers=headers
    )


def filled(operation: Operation) -> str:
    return operation.path.format_map(IDS)
