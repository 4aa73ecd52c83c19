"""What every application does: health that tells the truth, nothing open, ids on every answer."""

import json
import uuid
from typing import Any

import pytest

from shared.http.tokens import Principal
from tests.integration.shared.small_service import SERVICE, Small, SmallStarter, prepare
from tests.servers import Servers
from tests.support.service import signer_of
from tests.support.waiting import until

METRICS = "/v1/services/referral/metrics"


@pytest.fixture
async def small(start_small: SmallStarter) -> Small:
    return await start_small()


async def test_readiness_is_the_databases_and_comes_back_with_it(
    small: Small, servers: Servers
) -> None:
    async def ready() -> bool:
        return (await small.http.get("/readyz")).status_code == 200

    assert await ready()
    name = await small.scalar("select current_database()")
    servers.drop_database(name)
    answer = await small.http.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "database_unavailable"})
    assert (await small.http.get("/healthz")).json() == {"status": "ok"}
    refused = await small.bump()
    assert (refused.status_code, refused.json()["code"]) == (503, "temporarily_unavailable")
    await small_database_again(servers, name)
    await until(ready, what="readiness to come back")


async def small_database_again(servers: Servers, name: str) -> None:
    """The same database, empty, with the table that readiness looks at."""
    await prepare(servers.create_database(name))


async def test_an_unmigrated_database_is_not_ready(small: Small) -> None:
    await small.change("drop table feed_head")
    assert (await small.http.get("/readyz")).status_code == 503


@pytest.mark.parametrize(
    "path",
    [
        "/v1/counters/a/bumps",
        "/internal/events",
        METRICS,
        "/internal/openapi.json",
        "/v1/nowhere",
        "/",
        "/docs",
        "/healthz/",
        "/readyz/x",
    ],
)
async def test_nothing_but_health_is_open(small: Small, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = await small.http.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["x-request-id"]


BAD_PROOF = {
    "another scheme": "Basic {}",
    "no scheme": "{}",
    "nothing": "Bearer ",
    "words": "Bearer let me in",
    "cut": "Bearer {:.40}",
    "bytes": "Bearer \xff\xfe",
    "longer": "Bearer {}x",
}


@pytest.mark.parametrize("proof", list(BAD_PROOF))
async def test_a_false_proof_opens_nothing(small: Small, proof: str) -> None:
    given = BAD_PROOF[proof].format(small.token("bump"))
    answer = await small.bump(headers={"Authorization": given.encode("latin-1")})
    assert answer.status_code == 401
    assert await small.scalar("select count(*) from counters") == 0


async def test_a_proof_is_good_for_one_operation_of_one_service(small: Small) -> None:
    other_operation = await small.bump(
        headers={"Authorization": f"Bearer {small.token('bump_otherwise')}"}
    )
    assert (other_operation.status_code, other_operation.json()["code"]) == (403, "forbidden")
    other_service = signer_of("gateway").token(audience="loyalty", operation="bump")
    answer = await small.bump(headers={"Authorization": f"Bearer {other_service}"})
    assert answer.status_code == 401
    assert await small.scalar("select count(*) from counters") == 0


async def test_a_service_may_not_call_in_anothers_name(small: Small) -> None:
    token = signer_of("loyalty").token(
        audience=SERVICE, operation="bump", principal=Principal(kind="api_key", id="managerk")
    )
    assert (await small.bump(headers={"Authorization": f"Bearer {token}"})).status_code == 401


async def test_a_good_request_id_is_kept_and_a_bad_one_replaced(small: Small) -> None:
    kept = await small.bump(headers={"X-Request-Id": "order-7.retry_2"})
    assert kept.headers.get_list("x-request-id") == ["order-7.retry_2"]
    for bad in ("", "a b", "x" * 65, "<script>", "a\tb"):
        replaced = await small.bump(headers={"X-Request-Id": bad})
        assert replaced.headers["x-request-id"].startswith("req_")


async def test_a_fault_is_logged_in_full_and_told_by_its_id_only(
    start_small: SmallStarter, capsys: pytest.CaptureFixture[str]
) -> None:
    small = await start_small()

    def fail(_: Any) -> None:
        raise RuntimeError("of 13812345678 and hk_live_1a2b3c4d_secret")

    small.knobs.before_commit = fail
    answer = await small.bump(headers={"X-Request-Id": "order-7"})
    assert answer.status_code == 500
    assert (answer.json()["request_id"], answer.headers["x-request-id"]) == ("order-7", "order-7")
    assert "RuntimeError" not in answer.text
    log = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [fault] = [line for line in log if line["event"] == "unexpected fault"]
    assert fault["request_id"] == "order-7"
    assert "RuntimeError: of [hidden] and [hidden]" in fault["exception"]


async def test_the_trace_of_the_caller_goes_on_in_the_events(small: Small) -> None:
    parent = f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-01"
    await small.bump(headers={"traceparent": parent})
    written = await small.scalar("select traceparent from outbox")
    assert written.split("-")[1] == parent.split("-")[1]
    await small.bump("other", headers={"traceparent": "00-nonsense"})
    assert "nonsense" not in str(await small.rows("select traceparent from outbox"))


async def test_metrics_count_each_operation_by_its_answer(small: Small) -> None:
    await small.bump()
    answer = await small.call("show_referral_metrics", "GET", METRICS)
    assert answer.headers["content-type"].startswith("text/plain")
    counted = 'huitou_http_requests_total{operation="bump",service="referral",status="201"}'
    assert counted in answer.text
