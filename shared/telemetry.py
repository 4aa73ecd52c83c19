"""Logs, metrics, traces and the ids that tie them together. No personal data in any of them."""

import asyncio
import atexit
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Final

import orjson
import structlog
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import Counter, Gauge, Histogram
from structlog.types import EventDict, Processor, WrappedLogger

REQUESTS: Final = Counter(
    "huitou_http_requests_total", "Requests answered", ["service", "operation", "status"]
)
REQUEST_SECONDS: Final = Histogram(
    "huitou_http_request_seconds", "Time to answer a request", ["service", "operation"]
)
EVENTS_APPLIED: Final = Counter(
    "huitou_events_applied_total", "Events applied", ["service", "producer", "type"]
)
EVENTS_PARKED: Final = Counter(
    "huitou_events_parked_total", "Events parked", ["service", "producer"]
)
EVENT_LAG: Final = Gauge(
    "huitou_event_lag_positions", "Positions behind the producer's head", ["service", "producer"]
)
SUBSCRIPTION_HEALTHY: Final = Gauge(
    "huitou_subscription_healthy", "1 while the feed answers and agrees", ["service", "producer"]
)
FEED_HEAD: Final = Gauge("huitou_feed_head", "Last position given out", ["service"])
#: Many by the careful way, or alone, mean replays, retries or several processes at one member.
BATCHED: Final = Counter(
    "huitou_batched_requests_total", "Hot requests by the way they went", ["operation", "way"]
)
JOB_RUNS: Final = Counter("huitou_job_runs_total", "Runs of a job", ["service", "job", "outcome"])
JOB_LEFT_OUT: Final = Counter(
    "huitou_job_left_out_total", "Members whose part of a job or import failed by itself", ["actor"]
)

_tracer = trace.get_tracer("huitou")
_TRACEPARENT: Final = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_SECRET: Final = re.compile(
    r"hk_(?:live|test)_\w+"  # API keys
    r"|eyJ[\w-]+\.[\w-]+\.[\w-]+"  # internal tokens
    # Mobile numbers of the Chinese mainland, as people write them.
    r"|(?<!\d)(?:(?:\+|00)?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?!\d)"
)
_LINE: Final = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
_HIDDEN: Final = "[hidden]"


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    """What belongs to the request being served, for logs and for calls to neighbours."""

    request_id: str
    traceparent: str | None = None


current_request: ContextVar[RequestContext | None] = ContextVar("current_request", default=None)


def valid_traceparent(given: str | None) -> str | None:
    """A W3C trace context header if it is well-formed (version 00), else None."""
    return given if given and _TRACEPARENT.fullmatch(given) else None


def configure_logging(*, service: str, level: str) -> None:
    """One JSON object per line on standard output, for our logs and those of libraries."""
    steps: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_request,
    ]
    structlog.configure(
        processors=[*steps, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=steps,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                lambda _logger, _name, event: {"service": service, **event},
                hide_secrets,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for noisy in ("httpx", "httpcore", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for own in ("uvicorn", "uvicorn.error"):
        logging.getLogger(own).handlers.clear()
        logging.getLogger(own).propagate = True


def count_request(service: str, operation: str, status: int, *, seconds: float) -> None:
    """Count a request and its time."""
    counted, timed = _request_metrics(service, operation, status)
    counted.inc()
    timed.observe(seconds)


@cache
def _request_metrics(service: str, operation: str, status: int) -> tuple[Counter, Histogram]:
    # There are as many as operations have statuses; finding them anew costs more than counting.
    counted = REQUESTS.labels(service, operation, str(status))
    return counted, REQUEST_SECONDS.labels(service, operation)


def log_request(*, service: str, operation: str, method: str, status: int, ms: float) -> None:
    """Write the one line of a request.

    Past structlog, whose steps would take a third of the gateway's time; nothing here can hold
    anything secret.
    """
    if not logging.getLogger().isEnabledFor(logging.INFO):
        return
    context = current_request.get()
    line: EventDict = {
        "service": service,
        "event": "request",
        "operation": operation,
        "method": method,
        "status": status,
        "ms": ms,
        "level": "info",
        "timestamp": datetime.now(UTC),  # noqa: TID251 - when it was logged, whatever business time is
    }
    if context is not None:
        line["request_id"] = context.request_id
        if context.traceparent:
            line["trace_id"] = context.traceparent.split("-")[1]
    _lines.add(orjson.dumps(line, option=_LINE))


class _Lines:
    """Lines on their way to standard output: those of one turn of the loop go out together.

    A write for each would take as long as all else that is done for a line.
    """

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def add(self, line: bytes) -> None:
        """Write a line at the end of this turn."""
        self._waiting.append(line)
        if len(self._waiting) == 1:
            try:
                asyncio.get_running_loop().call_soon(self.flush)
            except RuntimeError:
                self.flush()

    def flush(self) -> None:
        """Write what waits."""
        lines, self._waiting = self._waiting, []
        if lines:
            sys.stdout.write(b"".join(lines).decode())
            sys.stdout.flush()


_lines: Final = _Lines()
atexit.register(_lines.flush)


def hide_secrets(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Strike keys, tokens and mobile numbers out of everything that is logged, traces included."""
    return {name: _hide(value) for name, value in event.items()}


def configure_tracing(*, service: str, endpoint: str | None) -> None:
    """Send spans over OTLP/HTTP when an endpoint is configured; make none otherwise."""
    if not endpoint:
        return
    provider = TracerProvider(resource=Resource.create({"service.name": f"huitou-{service}"}))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def traced(
    name: str, *, parent: str | None, kind: trace.SpanKind
) -> AbstractContextManager[tuple[trace.Span, str | None]]:
    """A span under a caller's `traceparent`, and the `traceparent` to hand on from inside it."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        # Nobody collects spans: the caller's trace is handed on as it came.
        return nullcontext((trace.INVALID_SPAN, parent))
    return _spanned(name, parent=parent, kind=kind)


@contextmanager
def _spanned(
    name: str, *, parent: str | None, kind: trace.SpanKind
) -> Iterator[tuple[trace.Span, str | None]]:
    given = propagate.extract({"traceparent": parent} if parent else {})
    with _tracer.start_as_current_span(name, context=given, kind=kind) as span:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        yield span, carrier.get("traceparent", parent)


def _add_request(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    context = current_request.get()
    if context is not None:
        event.setdefault("request_id", context.request_id)
        if context.traceparent:
            event.setdefault("trace_id", context.traceparent.split("-")[1])
    return event


def _hide(value: object) -> object:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, str):
        return _SECRET.sub(_HIDDEN, value)
    if isinstance(value, int):
        return _HIDDEN if _SECRET.search(str(value)) else value
    if isinstance(value, dict):
        return {_hide(name): _hide(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_hide(inner) for inner in value]
    # What the renderer would write for anything else: errors, bytes, models.
    return _SECRET.sub(_HIDDEN, repr(value))
