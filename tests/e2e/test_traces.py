"""One trace from the caller through the gateway and loyalty, and over the events beyond."""

import secrets
from collections import defaultdict
from pathlib import Path

import asyncpg
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.e2e.runner_process import RunnerProcess
from tests.e2e.storefront import Storefront
from tests.support.serving import serving
from tests.support.waiting import until

CANARY = "13800138000"
SWITCH = "OTEL_EXPORTER_OTLP_ENDPOINT"
#: All that a span may say of a call.
ATTRIBUTES = {"http.response.status_code", "huitou.operation"}


class Receiver:
    """An OTLP receiver that keeps the spans of every service."""

    def __init__(self) -> None:
        self.spans: dict[str, list[Span]] = defaultdict(list)
        self.app = Starlette(routes=[Route("/v1/traces", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        sent = ExportTraceServiceRequest.FromString(await request.body())
        for resource in sent.resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans[names["service.name"]] += scope.spans
        return Response(b"", media_type="application/x-protobuf")

    def of(self, trace_id: str) -> dict[tuple[str, str], Span]:
        """The spans of a trace, by service and name."""
        return {
            (service, span.name): span
            for service, spans in self.spans.items()
            for span in spans
            if span.trace_id.hex() == trace_id
        }


async def test_a_trace_goes_on_through_every_service_and_event(tmp_path: Path) -> None:
    receiver = Receiver()
    trace_id, caller = secrets.token_hex(16), secrets.token_hex(8)
    async with (
        serving(receiver.app) as endpoint,
        RunnerProcess(tmp_path / "data", {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}) as system,
        httpx.AsyncClient(
            base_url=system.address,
            headers={"Authorization": f"Bearer {await system.first_key()}"},
            trust_env=False,
        ) as http,
    ):
        storefront = Storefront(http)
        code = await storefront.referral_code(await storefront.enrol())
        body = {"identities": [{"kind": "phone", "value": CANARY}], "referral_code": code}
        enrolled = await http.post(
            "/v1/members", json=body, headers={"traceparent": f"00-{trace_id}-{caller}-01"}
        )
        assert enrolled.status_code == 201

        expected = {
            ("huitou-gateway", "gateway POST"),
            ("huitou-loyalty", "loyalty POST"),
            ("huitou-referral", "member.enrolled.v1"),
            ("huitou-segmentation", "member.enrolled.v1"),
            ("huitou-loyalty", "referral.reward_due.v1"),
            ("huitou-referral", "voucher.issued.v1"),
        }
        await until(lambda: expected <= set(receiver.of(trace_id)), what="the whole trace")

    spans = receiver.of(trace_id)
    gateway, loyalty = (
        spans["huitou-gateway", "gateway POST"],
        spans["huitou-loyalty", "loyalty POST"],
    )
    assert gateway.parent_span_id.hex() == caller
    assert loyalty.parent_span_id == gateway.span_id
    assert spans["huitou-referral", "member.enrolled.v1"].parent_span_id == loyalty.span_id
    written = str(receiver.spans)
    assert CANARY not in written
    assert "hk_live_" not in written
    told = {one.key for by in receiver.spans.values() for span in by for one in span.attributes}
    assert told <= ATTRIBUTES


async def enrolled_event_mark(system: RunnerProcess) -> str | None:
    """The trace that the only enrolment's event carries."""
    connection = await asyncpg.connect(system.published()["LOYALTY_DATABASE_URL"])
    try:
        mark: str | None = await connection.fetchval(
            "select traceparent from outbox where type = 'member.enrolled.v1'"
        )
    finally:
        await connection.close()
    return mark


@pytest.mark.parametrize("configured", [None, ""])
async def test_without_an_endpoint_no_span_is_sent_but_the_callers_trace_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: str | None
) -> None:
    """The exporter's own variable leads to the receiver, should one be started nevertheless."""
    monkeypatch.delenv(SWITCH, raising=False)
    asked: list[str] = []

    async def anything(request: Request) -> Response:
        asked.append(request.url.path)
        return Response(b"", media_type="application/x-protobuf")

    receiver = Starlette(routes=[Route("/{path:path}", anything, methods=["GET", "POST"])])
    mark = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    async with serving(receiver) as endpoint:
        off = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{endpoint}/v1/traces"}
        if configured is not None:
            off[SWITCH] = configured
        async with RunnerProcess(tmp_path / "data", off) as system:
            key = await system.first_key()
            headers = {"Authorization": f"Bearer {key}", "traceparent": mark}
            body = {"identities": [{"kind": "phone", "value": CANARY}]}
            async with httpx.AsyncClient(base_url=system.address, trust_env=False) as http:
                enrolled = await http.post("/v1/members", json=body, headers=headers)
            assert enrolled.status_code == 201
            assert await enrolled_event_mark(system) == mark
        # Every process has ended, so whatever it had to send would have come.
        assert asked == []
