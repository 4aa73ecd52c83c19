"""The small service's write once more, as a hot operation that is decided in batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final

import asyncpg
from fastapi import APIRouter, Path, Request, Response

from shared.batches import Saving, Stale
from shared.contracts.envelope import EventData
from shared.db import Occasion
from shared.http.fields import ExternalId, ReplyModel, RequestModel
from shared.http.hot import HotKeyedWrite
from shared.http.hot_routes import HotRoute
from shared.http.writes import Reply
from shared.idempotency import keep_replies, kept_rows
from shared.lanes import Connection
from shared.outbox import appending, event_rows

_STALE: Final = "HT001"
REFUSE_STALE: Final = """
    create function refuse_stale(done bigint, wanted bigint) returns bigint
    language plpgsql as $$
    begin
      if done <> wanted then raise exception 'stale' using errcode = 'HT001'; end if;
      return done;
    end
    $$
"""


_SAVE: Final = f"""
    with kept as ({keep_replies("$1")}),
    moved as (
      insert into counters (name, total, version)
      select * from unnest($2::text[], $3::bigint[], $4::bigint[]) as given
      where (select count(*) from kept) >= 0
      on conflict (name) do update set total = excluded.total, version = excluded.version
      where counters.version = excluded.version - 1
      returning 1
    ), {appending("$5", after="(select count(*) from moved) >= 0")}
    select refuse_stale(
      (select count(*) from kept) + (select count(*) from moved), $6::bigint)
"""


@dataclass(frozen=True, kw_only=True)
class BumpBy:
    """A command."""

    name: str
    amount: int


@dataclass(kw_only=True)
class Counters:
    """Counters as a batch finds and leaves them: total and version."""

    known: dict[str, tuple[int, int]]
    changed: set[str] = field(default_factory=set)


class Bumps:
    """The batch operation; `before_commit` is called with each bump, as a test turns it."""

    def __init__(
        self,
        *,
        bumped: Callable[[str, int], EventData],
        before_commit: Callable[[Occasion], Any],
    ) -> None:
        self._bumped = bumped
        self._before_commit = before_commit

    def subject(self, command: BumpBy) -> str:
        return command.name

    async def load(
        self, connection: Connection, commands: Sequence[BumpBy], *, now: datetime, careful: bool
    ) -> Counters:
        lock = " for update" if careful else ""
        rows = await connection.fetch(
            f"select * from counters where name = any($1::text[]) order by name{lock}",
            [command.name for command in commands],
        )
        return Counters(known={row["name"]: (row["total"], row["version"]) for row in rows})

    def decide(self, state: Counters, command: BumpBy, occasion: Occasion) -> int:
        total, version = state.known.get(command.name, (0, 0))
        occasion.record(self._bumped(command.name, command.amount), subject=command.name)
        self._before_commit(occasion)
        state.known[command.name] = (total + command.amount, version)
        state.changed.add(command.name)
        return total + command.amount

    async def save(self, connection: Connection, state: Counters, saving: Saving) -> None:
        names = sorted(state.changed)
        try:
            await connection.fetch(
                _SAVE,
                kept_rows(saving.replies, now=saving.now),
                names,
                [state.known[name][0] for name in names],
                [state.known[name][1] + 1 for name in names],
                event_rows(saving.events, occurred_at=saving.now),
                len(saving.replies) + len(names),
            )
        except asyncpg.PostgresError as error:
            if error.sqlstate == _STALE:
                raise Stale from None
            raise


def hot_counter_router(body: type[RequestModel], total: type[ReplyModel]) -> APIRouter:
    """The hot write's route."""
    router = APIRouter(route_class=HotRoute)

    async def bump_hot(
        name: Annotated[ExternalId, Path()], body: Any, write: HotKeyedWrite, request: Request
    ) -> Response:
        return await write.run(
            request.app.state.bumps,
            BumpBy(name=name, amount=body.amount),
            reply=lambda count: Reply(body=total(name=name, total=count), status=201),
        )

    bump_hot.__annotations__["body"] = body
    router.post("/v1/counters/{name}/hot_bumps", operation_id="bump_hot", status_code=201)(bump_hot)
    return router
