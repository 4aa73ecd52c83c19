"""The internal routes by which the gateway moves a service's clock. Only a sandbox has them."""

from datetime import datetime, timedelta
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import Field

from shared.http.access import CurrentCall, WrongOperation
from shared.http.fields import Moment, ReplyModel, RequestModel
from shared.http.tokens import Call
from shared.kernel.visits import Visit
from shared.service.timekeeper import Timekeeper

#: Well beyond what a clock can be moved, within what the database can hold.
_OFFSET_US_MAX = 200 * 366 * 86_400 * 1_000_000


class MomentBody(RequestModel):
    """A moment to stand still at, or to visit."""

    at: Moment


class GoBody(RequestModel):
    """How far ahead of the machine's time the clock flows, in microseconds."""

    offset_us: Annotated[int, Field(ge=0, le=_OFFSET_US_MAX)]


class StandsReply(ReplyModel):
    """Where the clock stands."""

    at: datetime


class VisitReply(ReplyModel):
    """A `shared.kernel.visits.Visit` as it is sent."""

    done: int
    more: bool
    head: int
    unsequenced: int
    cursors: dict[str, int]
    due: dict[str, datetime]

    @classmethod
    def of(cls, visit: Visit) -> Self:
        """As it is sent."""
        return cls(
            done=visit.done,
            more=visit.more,
            head=visit.head,
            unsequenced=visit.unsequenced,
            cursors=dict(visit.cursors),
            due=dict(visit.due),
        )

    def read(self) -> Visit:
        """As it is meant."""
        return Visit(
            done=self.done,
            more=self.more,
            head=self.head,
            unsequenced=self.unsequenced,
            cursors=self.cursors,
            due=self.due,
        )


def timekeeper_router(timekeeper: Timekeeper) -> APIRouter:
    """Stop, visit, go."""
    router = APIRouter(prefix="/internal/test_clock", include_in_schema=False)

    @router.post("/stop", operation_id="stop_clock")
    async def stop(body: MomentBody, call: CurrentCall) -> StandsReply:
        _refuse_all_but_the_gateway(call)
        return StandsReply(at=await timekeeper.stop(at=body.at))

    @router.post("/visit", operation_id="visit_moment")
    async def visit(body: MomentBody, call: CurrentCall) -> VisitReply:
        _refuse_all_but_the_gateway(call)
        return VisitReply.of(await timekeeper.visit(at=body.at))

    @router.post("/go", operation_id="let_clock_go")
    async def go(body: GoBody, call: CurrentCall) -> StandsReply:
        _refuse_all_but_the_gateway(call)
        await timekeeper.go(offset=timedelta(microseconds=body.offset_us))
        return StandsReply(at=timekeeper.clock.now())

    return router


def _refuse_all_but_the_gateway(call: Call) -> None:
    """The gateway itself, on nobody's behalf: no key from outside reaches these routes."""
    if (call.issuer, call.principal.kind, call.principal.id) != ("gateway", "service", "gateway"):
        raise WrongOperation
