"""Whose row somebody else holds waits for it, and keeps nobody else of the batch."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from services.loyalty.operations.refund_batches import RefundRecordings
from services.loyalty.store.readings import MemberReader
from shared.batch_runner import BatchRunner
from shared.batches import Answered
from tests.integration.loyalty.people import enrol, place
from tests.integration.loyalty.ways import Operation, refund_facts, submission
from tests.support.service import Starter
from tests.support.waiting import until


async def test_while_one_members_account_is_held_the_others_get_their_answers(
    start: Starter,
) -> None:
    loyalty = await start("loyalty")
    members = [await enrol(loyalty) for _ in range(6)]
    orders = [await place(loyalty, one, paid_fen=10_000) for one in members]
    batch = [submission(refund_facts(order_id, 1_000)) for order_id in orders]
    refunds: Operation = RefundRecordings(MemberReader())
    runner = BatchRunner(database=loyalty.database, operation=refunds)
    engine = create_async_engine(loyalty.database.engine.url)
    async with engine.connect() as holder:
        held = "select 1 from accounts where member_id = :id for update"
        await holder.execute(text(held), {"id": members[0]})
        running = asyncio.create_task(runner.run(batch))
        await until(
            lambda: all(one.outcome.done() for one in batch[1:]), what="the others' answers"
        )
        assert not batch[0].outcome.done()
    await running
    await engine.dispose()
    outcomes = await asyncio.gather(*(one.outcome for one in batch))
    assert all(isinstance(one, Answered) for one in outcomes)
