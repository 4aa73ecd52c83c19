"""Runs over HTTP: asked for, and watched."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import ConfigDict, Field

from services.segmentation.api.days import BusinessDay
from services.segmentation.operations.runs import start_run
from services.segmentation.store import runs as store
from services.segmentation.store.tables import SegmentRun
from shared.db import Database
from shared.http.fields import ReplyModel, RequestModel, id_pattern
from shared.http.writes import OpenWrite, Reply
from shared.kernel.errors import NotFound

router = APIRouter(prefix="/v1/segment_runs", tags=["segments"])

RunId = Annotated[str, Path(pattern=id_pattern("run"))]

_EXAMPLE: Final[dict[str, Any]] = {"as_of": "2026-11-22"}


class NewRun(RequestModel):
    """Of which day; today by default."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE, {}]})

    as_of: BusinessDay | None = None


class RunReply(ReplyModel):
    """A run and how far it has come."""

    id: str
    as_of: date
    state: Literal["queued", "running", "done", "failed"]
    cause: Literal["night", "run", "import"]
    live: bool | None = Field(
        description="Whether it moves members: it is of the day on which it runs. "
        "Null before it has begun."
    )
    total: int = Field(description="Members to score; 0 until they are counted")
    scored: int = Field(description="Members scored so far")
    moved: int = Field(description="Members who are in another segment now")
    outdated: bool = Field(
        description="Whether orders of its day or before came after it had looked"
    )
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@router.post(
    "",
    operation_id="start_segment_run",
    status_code=202,
    response_model=RunReply,
    responses={422: {"description": "The day has not come yet"}},
)
async def start_segment_run(write: OpenWrite, body: NewRun | None = None) -> Response:
    """Score the whole population as of a day.

    Of today it renews the thresholds and moves members; of a past day it keeps the sizes of that
    day and moves nobody. A run that is queued already for that day serves for this one.
    """
    as_of = body.as_of if body else None
    return await write.run(
        lambda transaction: start_run(transaction, as_of=as_of),
        reply=lambda run: Reply(body=_reply(run), status=202),
    )


@router.get(
    "/{run_id}",
    operation_id="show_segment_run",
    response_model=RunReply,
    responses={404: {"description": "There is no such run"}},
)
async def show_segment_run(request: Request, run_id: RunId) -> RunReply:
    """One run and its progress."""
    database: Database = request.app.state.database
    async with database.reading() as session:
        run = await store.run_by_id(session, run_id=run_id)
    if run is None:
        raise NotFound
    return _reply(run)


def _reply(run: SegmentRun) -> RunReply:
    return RunReply.model_validate(run.model_dump())
