"""What loyalty tells: events that reach segmentation as its subscriber would bring them."""

import itertools
import uuid
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

from services.segmentation.jobs import segmentation_jobs
from services.segmentation.subscribers import LOYALTY
from shared.contracts.envelope import CloudEvent, EventData
from shared.contracts.loyalty import (
    ImportedOrder,
    MemberEnrolled,
    MembersImported,
    OrderPaid,
    OrderRefunded,
    OrdersImported,
)
from shared.events.applying import apply_batch
from shared.events.cursor import read_cursor
from shared.http.tokens import Principal
from shared.jobs import run_due
from shared.kernel.clock import business_day_start
from shared.kernel.ids import new_id
from tests.support.service import NOON, ServiceUnderTest

TODAY: Final = date(2026, 11, 23)
QUIET: Final = timedelta(seconds=10)
_numbers = itertools.count(1)


def a_member() -> str:
    """The id of somebody nobody has heard of."""
    return new_id("mem", at=NOON)


def at(day: date, *, hour: int = 12) -> datetime:
    """A moment of a business day."""
    return business_day_start(day) + timedelta(hours=hour)


def enrolled(member_id: str, day: date = TODAY) -> MemberEnrolled:
    """A member enrols."""
    return MemberEnrolled(member_id=member_id, enrolled_at=at(day))


def paid(member_id: str, fen: int, day: date = TODAY, *, order_id: str | None = None) -> OrderPaid:
    """A member pays for an order."""
    return OrderPaid(
        order_id=order_id or f"SO-{next(_numbers)}",
        member_id=member_id,
        paid_fen=fen,
        paid_at=at(day),
    )


def refunded(
    order: OrderPaid, fen: int, day: date = TODAY, *, refund_id: str | None = None
) -> OrderRefunded:
    """Some of an order's money goes back."""
    return OrderRefunded(
        order_id=order.order_id,
        refund_id=refund_id or f"RF-{next(_numbers)}",
        member_id=order.member_id,
        amount_fen=fen,
        refunded_total_fen=fen,
        in_full=fen == order.paid_fen,
        refunded_at=at(day),
    )


def imported(orders: Sequence[ImportedOrder]) -> OrdersImported:
    """A part of an imported history."""
    return OrdersImported(import_id="imp_1", orders=list(orders))


def members_imported(member_ids: Sequence[str]) -> MembersImported:
    """Members that came with a history."""
    return MembersImported(import_id="imp_1", member_ids=list(member_ids), imported_at=NOON)


def past_order(member_id: str, fen: int, day: date, *, refunded_fen: int = 0) -> ImportedOrder:
    """An order of an imported history."""
    return ImportedOrder(
        order_id=f"OLD-{next(_numbers)}",
        member_id=member_id,
        paid_fen=fen,
        refunded_fen=refunded_fen,
        paid_at=at(day),
    )


async def tell(service: ServiceUnderTest, *facts: EventData) -> None:
    """Let the service hear these, as one batch of loyalty's feed after what it has heard."""
    async with service.database.reading() as session:
        cursor = await read_cursor(session, producer="loyalty")
    epoch = cursor.epoch or uuid.uuid4()
    events = [
        CloudEvent(
            id=uuid.uuid4(),
            source="/huitou/loyalty",
            type=fact.type,
            subject=str(getattr(fact, "member_id", None) or getattr(fact, "import_id", "")),
            time=service.clock.now(),
            pos=cursor.pos + number,
            subjectversion=1,
            epoch=epoch,
            data=fact.model_dump(mode="json"),
        )
        for number, fact in enumerate(facts, start=1)
    ]
    await apply_batch(
        service.database, cursor=cursor, events=events, handlers=LOYALTY, service="segmentation"
    )


async def work(service: ServiceUnderTest, *names: str) -> int:
    """Let jobs do all that is due now: those named, or the one that takes runs further."""
    wanted = names or ("advance_segment_run",)
    jobs = {job.name: job for job in segmentation_jobs(import_quiet=QUIET)}
    return sum([await run_due(jobs[name], database=service.database) for name in wanted])


async def run_today(service: ServiceUnderTest) -> dict[str, object]:
    """Score everybody as of today, from the request to the end."""
    return await run_of(service, None)


async def run_of(service: ServiceUnderTest, day: date | None) -> dict[str, object]:
    """Score everybody as of a day, from the request to the end; says how the run stands then."""
    asked = await service.call("start_segment_run", json={"as_of": day.isoformat()} if day else {})
    assert asked.status_code == 202, asked.text
    await work(service)
    shown = await service.call("show_segment_run", run_id=asked.json()["id"])
    run: dict[str, object] = shown.json()
    return run


async def moves_told(service: ServiceUnderTest, member_id: str) -> list[tuple[str, str, str]]:
    """What the service has published of a member: type, scheme and segment, in order."""
    rows = await service.rows(
        "select type, data->>'scheme' as scheme, data->>'segment' as segment from outbox"
        " where subject = :member_id order by id",
        member_id=member_id,
    )
    return [(row.type, row.scheme, row.segment) for row in rows]


OPERATOR: Final = Principal(kind="api_key", id="operator")
