"""A few members of the running service beside the reference, compared after every request."""

import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import asyncpg
import httpx

from services.loyalty.jobs import JOBS
from shared.http.tokens import Principal
from shared.jobs import run_due
from shared.kernel.clock import rfc3339
from tests.property.loyalty.reference import Member
from tests.property.loyalty.reference_books import Books
from tests.property.loyalty.world_books import differences
from tests.support.service import MANAGER, ServiceUnderTest

#: What the clock does to points.
CLOCK: Final = [
    job
    for job in JOBS
    if job.name
    in (
        "release_due_lots",
        "release_stale_reservations",
        "release_stale_holds",
        "announce_expiries",
        "expire_due_lots",
    )
]
#: Refusals that are kept under their key, as what was done is.
KEPT: Final = (200, 201, 202, 204, 404, 409)
#: By natural keys these count once, whatever the Idempotency-Key.
BY_NATURE: Final = ("record_order", "complete_order", "refund_order", "cancel_order")

#: After so many comparisons of the people concerned everybody is compared.
EVERYBODY_AFTER: Final = 10
_NOTICES: Final = """
    select n.id, n.member_id, n.expires_at, (
      select json_object_agg(lot_id, points) from expiry_notice_lots l where l.notice_id = n.id
    ) as lots
    from expiry_notices n where n.member_id = any($1) and not n.id = any($2) order by n.id
"""


class Disagreement(AssertionError):
    """The service and the reference say different things."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request that was answered, so that it can be made again."""

    operation: str
    given: dict[str, Any]
    key: str
    by: Principal
    status: int
    body: bytes
    people: frozenset[str]


@dataclass
class World:
    """Some members, known to nobody else."""

    loyalty: ServiceUnderTest
    connection: asyncpg.Connection
    name: str
    books: Books = field(init=False)
    people: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    steps: int = 0
    comparisons: int = 0

    def __post_init__(self) -> None:
        self.books = Books(self.now())

    def now(self) -> datetime:
        """The present moment."""
        return self.loyalty.clock.now()

    def new_name(self, prefix: str) -> str:
        """A name that nothing has yet."""
        self.steps += 1
        return f"{prefix}-{self.name}-{self.steps}"

    async def enrol(self) -> str:
        """One member more."""
        identity = {"kind": "external", "value": self.new_name("user")}
        reply = await self.loyalty.call("enrol_member", json={"identities": [identity]})
        assert reply.status_code == httpx.codes.CREATED, reply.text
        who: str = reply.json()["id"]
        self.people.append(who)
        self.books.members[who] = Member()
        return who

    async def begin(self, people: int) -> None:
        """So many members, some of whom have points already."""
        for points in (400, 90, 2_000, 0)[:people]:
            await self._welcome(await self.enrol(), points)

    async def _welcome(self, who: str, points: int) -> None:
        if points:
            await self.ask(
                "adjust_points",
                lambda body: self.books.adjust(who, points, MANAGER.id, body["id"]),
                member_id=who, json={"points": points, "reason": "欢迎"}, people=[who],
            )  # fmt: skip

    async def ask(
        self,
        operation: str,
        rule: Callable[[dict[str, Any]], str],
        *,
        people: Iterable[str],
        by: Principal = MANAGER,
        **given: Any,
    ) -> dict[str, Any]:
        """Make a request; its outcome and points must be as the rule says. Gives the reply."""
        key = uuid.uuid4().hex
        while True:
            reply = await self.loyalty.call(operation, key=key, principal=by, **given)
            if reply.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
        body: dict[str, Any] = reply.json() if reply.content else {}
        outcome = "ok" if reply.is_success else body["code"]
        self.story.append(f"{rfc3339(self.now())} {operation} {given} → {outcome}")
        self.books.now = self.now()
        expected = rule(body)
        if outcome != expected:
            raise Disagreement(f"the service says {outcome}, the reference {expected}{self.told()}")
        if reply.status_code in KEPT:
            made = Request(
                operation=operation, given=given, key=key, by=by, status=reply.status_code,
                body=reply.content, people=frozenset(people),
            )  # fmt: skip
            self.requests.append(made)
        await self.compare_some(people)
        return body

    async def again(self, request: Request) -> None:
        """Make a request again under its key: the same bytes, and nothing changes."""
        reply = await self.loyalty.call(
            request.operation, key=request.key, principal=request.by, **request.given
        )
        self.story.append(f"again: {request.operation} {request.given}")
        if (reply.status_code, reply.content) != (request.status, request.body):
            raise Disagreement(f"{request.body!r} is now {reply.content!r}{self.told()}")
        await self.compare_some(request.people)

    async def do_jobs(self, at: datetime) -> None:
        """Let the clock of the reference do what the service's jobs have just done."""
        self.books.now = at
        self.books.run_jobs()
        self.story.append(f"{rfc3339(at)} jobs")
        await self.compare()
        await self._learn_notices()

    async def compare_some(self, people: Iterable[str]) -> None:
        """Compare the people concerned, or everybody when that was not done for some time."""
        self.comparisons += 1
        await self.compare(None if self.comparisons % EVERYBODY_AFTER == 0 else people)

    async def compare(self, people: Iterable[str] | None = None) -> None:
        """Balances and lots of these or all members, as stored, are those of the reference."""
        wanted = self.people if people is None else list(people)
        wrong = await differences(self.connection, self.books, wanted, new_since=self.now())
        if wrong:
            raise Disagreement(f"{wrong}{self.told()}")

    async def end(self) -> None:
        """Compare all, then erase them, so that the clock's jobs are done with them."""
        await self.compare()
        for who in self.people:
            member = self.books.members[who]
            owns = member.debt or self.books.held(who) or any(o.left for o in member.lots.values())
            if member.state == "active" and owns:
                reply = await self.loyalty.call("erase_member", member_id=who)
                assert reply.is_success, reply.text

    def told(self) -> str:
        """What happened so far, for whoever reads of a disagreement."""
        return "".join(f"\n  {one}" for one in ["", *self.story[-80:]])

    async def _learn_notices(self) -> None:
        known = [one.id for one in self.books.notices if one.id]
        rows = await self.connection.fetch(_NOTICES, self.people, known)
        found = sorted((r["member_id"], r["expires_at"], sorted(json.loads(r["lots"]).items()),
                        r["id"]) for r in rows)  # fmt: skip
        new = sorted((one for one in self.books.notices if not one.id),
                     key=lambda one: (one.who, one.ends))  # fmt: skip
        expected = [(one.who, one.ends, sorted(one.told.items())) for one in new]
        if [one[:3] for one in found] != expected:
            raise Disagreement(f"notices {found}, expected {expected}{self.told()}")
        for one, row in zip(new, found, strict=True):
            one.id = row[3]


async def run_clock(loyalty: ServiceUnderTest) -> None:
    """Let the service do what is due."""
    for job in CLOCK:
        await run_due(job, database=loyalty.database)
