"""Logs are one JSON object per line and hold no key, no token and no mobile number."""

import json
import logging
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from shared.http.tokens import Principal
from shared.telemetry import (
    RequestContext,
    configure_logging,
    current_request,
    hide_secrets,
    valid_traceparent,
)
from tests.support.service import signer_of

TOKEN = signer_of("gateway").token(
    audience="loyalty", operation="show_wallet", principal=Principal(kind="api_key", id="a")
)
SECRETS = [
    "hk_live_1a2b3c4d_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG",
    "hk_test_1a2b3c4d_x",
    TOKEN,
    "13812345678",
    "+8613812345678",
    "8613812345678",
    "008613812345678",
    "+86 138 1234 5678",
    "138-1234-5678",
    "19912345678",
]
HARMLESS = [
    "mem_01kb0000000000000000000000",
    "2026-11-23T08:00:00.123456Z",
    "order-2026112300001",
    "10000000000",
    "1764000000000",
    "23812345678",
    "138123456789",
    str(uuid.UUID(int=7)),
    "api_key:1a2b3c4d",
]


@dataclass
class Buyer:
    """Somebody whose repr tells too much."""

    phone: str


def hidden(event: dict[str, Any]) -> str:
    """What would be written."""
    return json.dumps(hide_secrets(None, "", event), ensure_ascii=False)


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
def test_a_secret_is_struck_out_wherever_it_stands(secret: str) -> None:
    places: list[Any] = [
        secret,
        f"of {secret}, twice: {secret}.",
        f"号码{secret}。",
        [secret],
        ("a", {"b": [{secret: {secret}}]}),
        ValueError(secret),
        secret.encode(),
        Buyer(phone=secret),
    ]
    for place in places:
        written = hidden({"event": "x", "inner": place})
        assert secret not in written, place
        assert "[hidden]" in written, place


def test_a_mobile_number_as_a_number_is_struck_out_too() -> None:
    assert hidden({"phone": 13812345678}) == '{"phone": "[hidden]"}'


@pytest.mark.parametrize("words", HARMLESS)
def test_what_is_no_secret_stays(words: str) -> None:
    assert hidden({"inner": [words]}) == json.dumps({"inner": [words]})


@pytest.mark.parametrize("value", [0, 1, -5, 2**63, 0.5, True, None, 1_764_000_000_000])
def test_plain_values_stay_what_they_are(value: object) -> None:
    assert hide_secrets(None, "", {"value": value}) == {"value": value}


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Any:
    """Read back what was written, line by line."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def log() -> None:
    """Configure logging, onto what is standard output by now."""
    configure_logging(service="loyalty", level="INFO")


def test_our_logs_are_json_lines_with_the_request_they_belong_to(written: Any) -> None:
    log()
    trace_id = "0" * 31 + "7"
    token = current_request.set(
        RequestContext(request_id="req_1", traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")
    )
    structlog.get_logger().info("order recorded", order_id="订单-1", line="a\nb")
    current_request.reset(token)
    [line] = written()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "service": "loyalty",
        "event": "order recorded",
        "order_id": "订单-1",
        "line": "a\nb",
        "level": "info",
        "request_id": "req_1",
        "trace_id": trace_id,
    }


def test_a_traceback_of_ours_hides_its_secrets(written: Any) -> None:
    log()
    try:
        raise RuntimeError(f"no member with 13812345678 for {TOKEN}")
    except RuntimeError:
        structlog.get_logger().exception("failed")
    [line] = written()
    assert "RuntimeError: no member with [hidden] for [hidden]" in line["exception"]


def test_the_logs_of_libraries_hide_theirs(written: Any) -> None:
    log()
    try:
        raise RuntimeError("13812345678")
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("of %s and %s", "13812345678", TOKEN)
    [line] = written()
    assert line["event"] == "of [hidden] and [hidden]"
    assert "RuntimeError: [hidden]" in line["exception"]


def test_each_request_of_httpx_and_uvicorn_is_not_logged(written: Any) -> None:
    log()
    for name in ("httpx", "httpcore", "uvicorn.access"):
        logging.getLogger(name).info("GET /v1/members?phone=13812345678")
    logging.getLogger("httpx").warning("slow")
    assert [line["event"] for line in written()] == ["slow"]


@pytest.mark.parametrize(
    ("given", "valid"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n", False),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", False),
        ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", False),
        ("00-4bf9-00f0-01", False),
        ("", False),
        (None, False),
    ],
)
def test_only_a_well_formed_trace_context_is_taken_over(given: str | None, valid: bool) -> None:
    assert valid_traceparent(given) == (given if valid else None)
