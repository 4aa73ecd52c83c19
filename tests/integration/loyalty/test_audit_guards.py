"""A reconciliation tells when what keeps the ledger append-only is no longer there."""

from typing import Final

import asyncpg
import pytest

from services.loyalty.store.reconciliations_guards import missing_guards
from shared.settings import async_url
from tests.integration.loyalty.ledger_world import reconcile, write_history
from tests.support.databases import Databases
from tests.support.service import ServiceUnderTest, Starter

_BY: Final = "for each statement execute function refuse_to_change_the_ledger()"
_NEVER: Final = _BY.replace(" execute", " when (false) execute")
_ALL: Final = "update or delete or truncate"
_PARTLY: Final = "delete or truncate or update of actor"
_EMPTY: Final = "returns trigger language plpgsql as $$ begin return null; end $$"


@pytest.fixture
async def loyalty(start: Starter, databases: Databases) -> ServiceUnderTest:
    """The service with a role that owns its database and is no superuser, as in operation."""
    service = await start("loyalty", database_url=async_url(databases.owned("loyalty")))
    await write_history(service, members=2, entries=6)
    return service


async def change(loyalty: ServiceUnderTest, *statements: str) -> None:
    """What the owner of the tables can do."""
    url = loyalty.database.engine.url.set(drivername="postgresql")
    connection = await asyncpg.connect(url.render_as_string(hide_password=False))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_where_all_guards_stand_nothing_is_told(loyalty: ServiceUnderTest) -> None:
    assert (await reconcile(loyalty))["holds"] is True
    async with loyalty.database.reading() as session:
        assert await missing_guards(session) == []


async def test_a_guard_taken_away_is_told_in_the_proof_and_the_log(
    loyalty: ServiceUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    await change(loyalty, "alter table point_entries disable trigger point_entries_append_only")
    proof = await reconcile(loyalty)
    assert proof["first_disagreements"] == [{"member_id": None, "identities": ["guards_stand"]}]
    lines = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert any("point_entries trigger" in line for line in lines), "the log says which"
    assert any("what keeps the ledger append-only is missing" in line for line in lines)
    await change(loyalty, "alter table point_entries enable trigger point_entries_append_only")
    assert (await reconcile(loyalty))["holds"] is True


@pytest.mark.parametrize(
    ("statements", "missing"),
    [
        (["drop trigger lot_allocations_append_only on lot_allocations"],
         "lot_allocations trigger"),
        (["alter table ledger_checkpoints enable replica trigger ledger_checkpoints_append_only"],
         "ledger_checkpoints trigger"),
        (["alter table point_entries enable always trigger point_entries_append_only"], None),
        (["drop trigger point_entries_append_only on point_entries",
          f"create trigger point_entries_append_only before truncate on point_entries {_BY}"],
         "point_entries trigger"),
        (["drop trigger point_entries_append_only on point_entries",
          f"create trigger point_entries_append_only before {_PARTLY} on point_entries {_BY}"],
         "point_entries trigger"),
        (["drop trigger point_entries_append_only on point_entries",
          f"create trigger point_entries_append_only before {_ALL} on point_entries {_NEVER}"],
         "point_entries trigger"),
        ([f"create or replace function refuse_to_change_the_ledger() {_EMPTY}"],
         "refuse_to_change_the_ledger"),
        (["create table heir () inherits (ledger_checkpoint_heads)"],
         "ledger_checkpoint_heads heirs"),
        (["create table parent (actor text not null)",
          "alter table point_entries inherit parent"],
         "point_entries heirs"),
        (["grant delete on lot_allocations to current_user"], "lot_allocations rights"),
        (["grant truncate on ledger_checkpoints to public"], "ledger_checkpoints rights"),
        (["grant update (actor) on point_entries to current_user"], "point_entries rights"),
    ],
)  # fmt: skip
async def test_whatever_opens_a_way_past_the_guards_is_named(
    loyalty: ServiceUnderTest, statements: list[str], missing: str | None
) -> None:
    await change(loyalty, *statements)
    async with loyalty.database.reading() as session:
        assert await missing_guards(session) == ([missing] if missing else [])
