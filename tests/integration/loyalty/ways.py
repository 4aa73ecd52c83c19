"""Facts of orders by each of the ways they may go, and what they leave, to be compared."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final, Literal

import orjson
from prometheus_client import REGISTRY

from services.loyalty.domain.orders import CompletionFacts, OrderItem
from services.loyalty.domain.refunds import RefundFacts
from services.loyalty.operations.completion_batches import OrderCompletions
from services.loyalty.operations.orders import Completion, complete_order
from services.loyalty.operations.refund_batches import RefundRecordings
from services.loyalty.operations.refunds import RecordedRefund, record_refund
from services.loyalty.store.readings import MemberReader
from shared.batch_runner import BatchRunner
from shared.batches import Answered, BatchOperation, Saving, Stale, Submission
from shared.db import Occasion
from shared.idempotency import Claim, Stored
from shared.kernel.errors import Refusal
from shared.kernel.ids import new_id
from shared.lanes import Connection
from tests.integration.loyalty.moves import give
from tests.integration.loyalty.people import complete, enrol, place, redeem
from tests.support.service import ServiceUnderTest

Way = Literal["quick", "careful", "alone", "ordinary"]
Facts = RefundFacts | CompletionFacts
Operation = BatchOperation[Any, Any, Any]
ACTOR: Final = "api_key:managerk"
AT: Final = datetime(2026, 11, 24, 4, tzinfo=UTC)

#: Ids that are drawn.
_RANDOM: Final = re.compile(r"\b(adj|rdm|lot|evt)_[0-9a-z]{26}")
#: What there is of a member, without what names rows; `a`, `b` … is the member's own letter.
_LEFT: Final = """
    select 1 as part, to_jsonb(t) - array['version', 'entry_hash'] as data from accounts t
    where member_id = :id
    union all
    select 2, to_jsonb(t) - array['hash', 'previous_hash'] from point_entries t
    where member_id = :id
    union all
    select 3, to_jsonb(t) - 'id' from point_lots t where member_id = :id
    union all
    select 4, jsonb_build_array(p.entry_seq, l.cause_kind, l.cause_id, p.points)
    from lot_allocations p join point_lots l on l.member_id = p.member_id and l.id = p.lot_id
    where p.member_id = :id
    union all
    select 5, to_jsonb(t) - 'facts_hash' from orders t where member_id = :id
    union all
    select 6, to_jsonb(t) - 'facts_hash' from refunds t where member_id = :id
    union all
    select 7, to_jsonb(t) from growth_entries t where member_id = :id
    union all
    select 8, to_jsonb(t) - 'id' from tier_changes t where member_id = :id
    union all
    select 9, jsonb_build_array(subject_version, type, data, occurred_at) from outbox
    where subject = :id
"""


#: How facts of a kind go: in batches, and by themselves.
_QUICK: Final[dict[type, Callable[[MemberReader], Operation]]] = {
    RefundFacts: RefundRecordings,
    CompletionFacts: OrderCompletions,
}
_ORDINARY: Final[dict[type, Callable[..., Any]]] = {
    RefundFacts: record_refund,
    CompletionFacts: complete_order,
}


class NeverQuick:
    """As if somebody else were at each of the batch's members."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation

    def subject(self, command: Facts) -> Any:
        return self._operation.subject(command)

    async def load(
        self, connection: Connection, commands: Sequence[Facts], *, now: datetime, careful: bool
    ) -> Any:
        if not careful:
            raise Stale
        return await self._operation.load(connection, commands, now=now, careful=careful)

    def decide(self, state: Any, command: Facts, occasion: Occasion) -> Any:
        return self._operation.decide(state, command, occasion)

    async def save(self, connection: Connection, state: Any, saving: Saving) -> None:
        await self._operation.save(connection, state, saving)


def refund_facts(
    order_id: str, amount_fen: int, *, refund_id: str | None = None, pieces: int = 0
) -> RefundFacts:
    """A refund by amount, or by line with so many pieces."""
    item = OrderItem(sku="SERUM-30ML", category=None, quantity=pieces, paid_fen=amount_fen)
    return RefundFacts(
        refund_id=refund_id or new_id("RF", at=AT),
        order_id=order_id,
        amount_fen=amount_fen,
        items=(item,) if pieces else None,
        refunded_at=AT,
    )


async def go(loyalty: ServiceUnderTest, way: Way, given: Sequence[Facts]) -> list[Any]:
    """Let facts go a way, together where it takes many of a kind; what each of them was told."""
    if way == "ordinary":
        return [await _ordinary(loyalty, facts) for facts in given]
    told = []
    for kind, group in groupby(given, type):
        operation = _QUICK[kind](MemberReader())
        chosen = operation if way == "quick" else NeverQuick(operation)
        facts = list(group)
        for batch in [[one] for one in facts] if way == "alone" else [facts]:
            told += await run_batch(loyalty, chosen, batch)
    return told


async def run_batch(
    loyalty: ServiceUnderTest, operation: Operation, given: Sequence[Facts]
) -> list[Any]:
    """One batch of these; what each of them was told."""
    batch = [submission(facts) for facts in given]
    await BatchRunner(database=loyalty.database, operation=operation).run(batch)
    return [await _told(one) for one in batch]


def went(way: str) -> float:
    """How many requests have gone a way in this process."""
    kinds = (RefundRecordings, OrderCompletions) if way == "quick" else (NeverQuick,)
    labels = [{"operation": kind.__name__.lower(), "way": way} for kind in kinds]
    found = [REGISTRY.get_sample_value("huitou_batched_requests_total", one) for one in labels]
    return sum(one or 0.0 for one in found)


async def left_by(loyalty: ServiceUnderTest, member_id: str, letter: str) -> list[str]:
    """All rows and events of a member, spelled alike for everybody."""
    left = []
    for row in await loyalty.rows(_LEFT, id=member_id):
        spelled = orjson.dumps([row.part, row.data], option=orjson.OPT_SORT_KEYS).decode()
        own = spelled.replace(member_id, "mem_x").replace(f"-{letter}-", "-x-")
        left.append(_RANDOM.sub(r"\1", own))
    return sorted(left)


async def lives(loyalty: ServiceUnderTest, letters: str, *, seed: int) -> dict[str, str]:
    """Members with one and the same history, by their letters: debt, crumbs, points spent."""
    draw, second = random.Random(seed), timedelta(seconds=1)
    members = {letter: await enrol(loyalty) for letter in letters}
    received = draw.randint(2, 5)
    for number in range(6):
        paid_fen = draw.randint(1, 80) * 1_000
        items = [{"sku": "SERUM-30ML", "quantity": 4, "paid_fen": paid_fen}]
        for letter, member_id in members.items():
            order_id = f"SO-{letter}-{number}"
            await place(loyalty, member_id, paid_fen=paid_fen, order_id=order_id, items=items)
            if number < received:
                await complete(loyalty, order_id)
        loyalty.clock.advance(second)
    loyalty.clock.advance(timedelta(days=8))
    for member_id in members.values():
        balances = (await loyalty.call("show_points", member_id=member_id)).json()
        spent = balances["available"] if seed % 2 else balances["available"] // 2
        if spent and seed % 3:
            await redeem(loyalty, member_id, points=spent)
    for crumb in range(12 if seed % 4 == 1 else 0):
        for member_id in members.values():
            await give(loyalty, member_id, crumb + 1)
        loyalty.clock.advance(second)
    return members


def refunds_of(letter: str, *, seed: int) -> list[RefundFacts]:
    """Refunds of that member's orders: in parts, by line, too much, twice, contradicting."""
    draw = random.Random(seed + 1)
    given: list[RefundFacts] = []
    for number in range(24):
        facts = refund_facts(
            f"SO-{letter}-{draw.randrange(6)}",
            draw.choice([1, 99, 1_000, 2_500, 7_777, 20_000, 80_000]),
            refund_id=f"RF-{letter}-{number}",
            pieces=draw.choice([0, 0, 1, 5]),
        )
        if given and number % 6 == 5:
            facts = draw.choice(given)
        elif given and number % 6 == 3:
            facts = replace(draw.choice(given), order_id=f"SO-{letter}-{draw.randrange(6)}")
        given.append(facts)
    return given


def completions_of(letter: str, *, seed: int) -> list[CompletionFacts]:
    """Completions of that member's orders: new ones, known ones, contradicting ones."""
    draw = random.Random(seed + 2)
    return [
        CompletionFacts(
            order_id=f"SO-{letter}-{draw.randrange(6)}",
            completed_at=AT - timedelta(days=draw.choice([0, 0, 0, 3, 9])),
        )
        for _ in range(12)
    ]


async def _ordinary(loyalty: ServiceUnderTest, facts: Facts) -> Any:
    try:
        done = await loyalty.database.run(
            lambda transaction: _ORDINARY[type(facts)](transaction, facts=facts), actor=ACTOR
        )
    except Refusal as refusal:
        return _refused(refusal).body.decode()
    return _done(done).body.decode()


def submission(facts: Facts) -> Submission[Facts, Any]:
    """A request that reports a fact, under a key of its own."""
    return Submission(
        subject=facts.order_id,
        command=facts,
        actor=ACTOR,
        claim=Claim(scope="test", key=new_id("key", at=AT), fingerprint=b"-"),
        reply=_done,
        refusal=_refused,
    )


async def _told(one: Submission[Facts, Any]) -> str:
    answered = await one.outcome
    assert isinstance(answered, Answered)
    return answered.stored.body.decode()


def _done(done: RecordedRefund | Completion) -> Stored:
    if isinstance(done, Completion):
        order = done.order
        told: list[Any] = [done.completed_at, order and [order.state, order.available_at]]
    else:
        refund = done.refund
        told = [
            done.repeated, refund.applied_fen, refund.refunded_total_fen,
            refund.clawed_back_points, refund.debt_points, refund.growth, refund.items_match,
        ]  # fmt: skip
    return Stored(status=201, body=orjson.dumps(told))


def _refused(refusal: Refusal) -> Stored:
    facts = {name: str(value) for name, value in sorted(refusal.facts.items())}
    # The ids have the member's letter in them.
    return Stored(status=409, body=orjson.dumps([refusal.code, *facts.keys()]))
