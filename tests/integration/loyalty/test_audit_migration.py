"""An older ledger is hashed anew when it becomes append-only, and as before when it goes back."""

import asyncio
from typing import Final

from alembic import command
from alembic.script import ScriptDirectory

from shared.migrate import alembic_config
from shared.settings import async_url
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.ledger_world import audited, write_history
from tests.support.databases import Databases
from tests.support.service import ServiceUnderTest, Starter

REVISION: Final = "c41e7d02b6f5"


async def test_the_chains_of_an_older_ledger_are_made_anew_and_back(
    start: Starter, databases: Databases
) -> None:
    url = async_url(databases.fresh("loyalty"))
    loyalty = await start("loyalty", database_url=url)
    await write_history(loyalty, members=7, entries=30)
    config = alembic_config("services.loyalty", url=url)
    stair = ScriptDirectory.from_config(config).get_revision(REVISION)
    assert stair is not None
    before = await hashes(loyalty)
    await asyncio.to_thread(command.downgrade, config, str(stair.down_revision))
    older = await hashes(loyalty)
    assert len(set(older)) == len(before)
    assert await chained(loyalty)
    assert not set(before) & set(older), "a hash covered the allocations, or one before it"
    await asyncio.to_thread(command.upgrade, config, "head")
    assert await hashes(loyalty) == before
    assert (await audited(loyalty)).faults == 0
    assert await audit(loyalty) == len(before)


async def hashes(loyalty: ServiceUnderTest) -> list[bytes]:
    rows = await loyalty.rows("select hash from point_entries order by member_id, seq")
    return [row.hash for row in rows]


async def chained(loyalty: ServiceUnderTest) -> bool:
    """Whether each entry holds the hash of the one before, and the account that of the last."""
    broken = await loyalty.rows(
        "select 1 from point_entries e left join point_entries b on b.member_id = e.member_id"
        " and b.seq = e.seq - 1 where e.previous_hash is distinct from b.hash union all"
        " select 1 from accounts a left join point_entries e on e.member_id = a.member_id"
        " and e.seq = a.entry_seq where a.entry_hash is distinct from e.hash"
    )
    return broken == []
