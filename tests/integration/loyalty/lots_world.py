"""What tests of the end of lots do: publish rules, run the clock's jobs, deliver notices."""

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from services.loyalty.jobs import JOBS
from shared.jobs import Job, run_due
from shared.kernel.clock import BUSINESS_ZONE, rfc3339
from tests.integration.loyalty.people import complete, enrol, place
from tests.support.service import ServiceUnderTest
from tests.unit.loyalty.domain.programmes import RULES

_JOBS: Final = {job.name: job for job in JOBS}
RELEASE: Final = _JOBS["release_due_lots"]
ANNOUNCE: Final = _JOBS["announce_expiries"]
EXPIRE: Final = _JOBS["expire_due_lots"]
#: What the clock does to lots.
LOT_JOBS: Final = (RELEASE, ANNOUNCE, EXPIRE)

#: Points of an order completed at noon of 2026-11-23 are good through 2027-11-30.
DAY: Final = datetime(2027, 12, 1, tzinfo=BUSINESS_ZONE).astimezone(UTC)
#: A day later, if nobody was told: 30 days on, to the end of the month.
LATER: Final = datetime(2028, 1, 1, tzinfo=BUSINESS_ZONE).astimezone(UTC)


def shanghai(*parts: int) -> datetime:
    """A moment by Shanghai's clock."""
    return datetime(*parts, tzinfo=BUSINESS_ZONE).astimezone(UTC)  # type: ignore[misc, arg-type]


async def publish(loyalty: ServiceUnderTest, *, version: int = 2, **expiry: Any) -> None:
    """Put another version of the rules in force, that differs in `points.expiry`."""
    rules = copy.deepcopy(RULES)
    rules["points"]["expiry"] = expiry
    async with loyalty.database.begin(actor="test") as transaction:
        connection = await transaction.session.connection()
        await connection.exec_driver_sql(
            "insert into programme_versions (version, rules, published_by, published_at)"
            " values ($1, $2::jsonb, 'test', '2026-01-01T00:00:00Z')",
            (version, json.dumps(rules)),
        )


async def run(loyalty: ServiceUnderTest, *jobs: Job) -> int:
    """Run jobs until they find nothing more; says how much they did."""
    done = 0
    while count := sum([await run_due(job, database=loyalty.database) for job in jobs]):
        done += count
    return done


async def with_points(loyalty: ServiceUnderTest, *, points: int) -> str:
    """A member with so many available points, good through November 2027. Moves no clock back."""
    loyalty.clock.at = shanghai(2026, 11, 23, 12)
    member_id = await enrol(loyalty)
    await complete(loyalty, await place(loyalty, member_id, paid_fen=points * 100))
    loyalty.clock.at = shanghai(2026, 12, 1, 12)
    await run(loyalty, RELEASE)
    return member_id


async def announced(loyalty: ServiceUnderTest, *, at: datetime | None = None) -> dict[str, Any]:
    """The single notice made at a moment (30 days before the day, if left out)."""
    loyalty.clock.at = at or DAY - timedelta(days=30)
    assert await run(loyalty, ANNOUNCE) == 1
    return (await notices(loyalty))[0]


async def notices(loyalty: ServiceUnderTest, **query: Any) -> list[dict[str, Any]]:
    """Notices, newest first."""
    reply = await loyalty.call("list_expiry_notices", params=query)
    assert reply.status_code == 200, reply.text
    data: list[dict[str, Any]] = reply.json()["data"]
    return data


async def extensions(loyalty: ServiceUnderTest, **query: Any) -> list[dict[str, Any]]:
    """Extensions, newest first."""
    reply = await loyalty.call("list_expiry_extensions", params=query)
    assert reply.status_code == 200, reply.text
    data: list[dict[str, Any]] = reply.json()["data"]
    return data


async def deliver(loyalty: ServiceUnderTest, notice_id: str, *, at: datetime | None = None) -> None:
    """Confirm a delivery (just now, if left out)."""
    reply = await loyalty.call(
        "confirm_notice_delivery",
        notice_id=notice_id,
        json={"channel": "sms", "delivered_at": rfc3339(at or loyalty.clock.now()), "receipt": "r"},
    )
    assert reply.status_code == 200, reply.text


async def schedule_of(loyalty: ServiceUnderTest, member_id: str) -> list[tuple[int, str | None]]:
    """When a member's points lapse; checked against the balance and the wallet."""
    reply = await loyalty.call("show_expiry_schedule", member_id=member_id)
    assert reply.status_code == 200, reply.text
    body = reply.json()
    wallet = (await loyalty.call("show_wallet", member_id=member_id)).json()["points"]
    assert sum(part["points"] for part in body["data"]) == body["available"] == wallet["available"]
    assert [part for part in body["data"] if part["expires_at"]] == wallet["expiring"]
    return [(part["points"], part["expires_at"]) for part in body["data"]]


async def lots_of(loyalty: ServiceUnderTest, member_id: str, **query: Any) -> list[dict[str, Any]]:
    """A member's lots, newest first."""
    reply = await loyalty.call("list_lots", member_id=member_id, params=query)
    assert reply.status_code == 200, reply.text
    data: list[dict[str, Any]] = reply.json()["data"]
    return data


async def nothing_lapsed_unheard(loyalty: ServiceUnderTest) -> int:
    """Every lapsed lot has a notice of that day, of enough points, delivered early enough.

    From the rows alone, by the law and not by our code. Says how many lapsed.
    """
    lapsed = await loyalty.rows(
        """
        select e.points, e.occurred_at, p.lot_id, told.points as told, told.expires_at,
          n.delivered_at
        from point_entries e
        join lot_allocations p on p.member_id = e.member_id and p.entry_seq = e.seq
        left join expiry_notices n on n.id = e.cause_id
        left join expiry_notice_lots told on told.notice_id = n.id and told.lot_id = p.lot_id
        where e.kind = 'expired'
        """
    )
    for one in lapsed:
        assert one.points <= one.told
        assert one.occurred_at == one.expires_at
        assert one.delivered_at <= one.expires_at - timedelta(days=14)
        assert one.expires_at.astimezone(BUSINESS_ZONE).time().isoformat() == "00:00:00"
    return len(lapsed)
