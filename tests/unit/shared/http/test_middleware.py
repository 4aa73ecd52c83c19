"""What is counted of a request, however it ends."""

import pytest
from prometheus_client import REGISTRY
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.middleware import RequestScope
from shared.kernel.clock import SystemClock


async def left(scope: Scope, receive: Receive, send: Send) -> None:
    """What a service does when the caller is gone before the end of the body: nothing."""


async def failing(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("a defect")


@pytest.mark.parametrize(
    ("app", "status", "sent"),
    [(left, 499, []), (failing, 500, [500]), (PlainTextResponse("好"), 200, [200])],
)
async def test_a_caller_who_left_is_counted_apart_from_our_faults(
    app: ASGIApp, status: int, sent: list[int]
) -> None:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "path": "/v1/orders", "headers": []}
    before = counted(status)
    await RequestScope(app, service="counting", clock=SystemClock())(scope, receive, send)
    assert counted(status) - before == 1
    assert [one["status"] for one in messages if "status" in one] == sent


def counted(status: int) -> float:
    labels = {"service": "counting", "operation": "none", "status": str(status)}
    return REGISTRY.get_sample_value("huitou_http_requests_total", labels) or 0.0
