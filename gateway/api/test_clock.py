"""The sandbox's clock over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ConfigDict, Field

from gateway.operations.test_clock import ADVANCE_MAX_S, SandboxOnly, ask_for_advance
from gateway.operations.test_clock_journey import Journey
from gateway.store.test_clock import Advance, last_advance
from shared.db import Database
from shared.http.fields import ReplyModel, RequestModel
from shared.http.writes import OpenWrite, Reply

_EXAMPLE: Final[dict[str, Any]] = {"seconds": 604_800}


def require_sandbox(request: Request) -> None:
    """Raises SandboxOnly, whatever else the request may be, in a live system."""
    if request.app.state.mode != "sandbox":
        raise SandboxOnly


router = APIRouter(
    prefix="/v1/test_clock",
    tags=["clock"],
    dependencies=[Depends(require_sandbox)],
    responses={404: {"description": "`sandbox_only`: this system is not a sandbox"}},
)


class AdvanceBody(RequestModel):
    """How far to move the clock."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    seconds: Annotated[
        int,
        Field(ge=1, le=ADVANCE_MAX_S, description="1 second to 10 years, forward from the present"),
    ]


class TestClockReply(ReplyModel):
    """Where the sandbox's clock is. All services show the same time once it has settled."""

    now: datetime = Field(description="The present moment in this sandbox")
    settled: bool = Field(description="Whether the last move has been made to its end")
    advancing_to: datetime | None = Field(description="Null once settled")
    advanced_from: datetime | None = Field(description="Where the last move began; null if none")
    moments_visited: int = Field(
        description="Moments of the last move so far: each at which something fell due, its "
        "beginning and its end"
    )
    waiting_for: str | None = Field(description="The service that holds the move up just now")


@router.get("", operation_id="show_test_clock")
async def show_test_clock(request: Request) -> TestClockReply:
    """The time in this sandbox, and whether it is being moved."""
    database: Database = request.app.state.database
    async with database.reading() as session:
        advance = await last_advance(session)
    return _reply(advance, now=database.clock.now())


@router.post(
    "/advance",
    operation_id="advance_test_clock",
    status_code=202,
    response_model=TestClockReply,
    responses={
        409: {
            "description": "`clock_is_moving`: ask again, with a new key, once it has settled; "
            "`clock_too_far`: it would come to 2099"
        }
    },
)
async def advance_test_clock(body: AdvanceBody, request: Request, write: OpenWrite) -> Response:
    """Move time forward for all services at once. Everything that falls due on the way happens at
    its moment; done when the clock says `settled: true`. One move at a time."""
    journey: Journey = request.app.state.journey
    answer = await write.run(
        lambda transaction: ask_for_advance(transaction, seconds=body.seconds),
        reply=lambda advance: Reply(body=_reply(advance, now=advance.from_at), status=202),
    )
    journey.wake()
    return answer


def _reply(advance: Advance | None, *, now: datetime) -> TestClockReply:
    moves = advance is not None and not advance.settled
    return TestClockReply(
        now=now,
        settled=not moves,
        advancing_to=advance.to_at if advance is not None and moves else None,
        advanced_from=advance.from_at if advance is not None else None,
        moments_visited=advance.moments if advance is not None else 0,
        waiting_for=advance.waiting_for if advance is not None else None,
    )
