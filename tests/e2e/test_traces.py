"""One trace from the caller through the gateway and loyalty, and over the events beyond."""

import secrets
from collections import defaultdict
from pathlib import Path

import httpx
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
