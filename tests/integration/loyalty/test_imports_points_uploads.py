"""Imports of points break, repeat and meet others; nothing counts twice and nobody loses any."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.loyalty.api.imports_lines import NDJSON, reader_of
from services.loyalty.api.imports_lines_points import POINTS_LINES
from services.loyalty.api.imports_upload import Upload
from services.loyalty.operations.imports import Batch, ImportTerms, open_import
from services.loyalty.operations.imports_members import OwnersMoved
from services.loyalty.operations.imports_points import take_points
from services.loyalty.store.tables import Import
from shared.db import Transaction
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.imports_points_world import (
    balance,
    counts,
    customer,
    imported,
    past,
    refusals,
)
from tests.integration.loyalty.imports_world import ndjson, pieces
from tests.integration.loyalty.people import everything, points_of
from tests.integration.loyalty.racing import ACCOUNTS, race, replicas_of
from tests.integration.loyalty.vouchers_world import insist
from tests.support.service import MANAGER, ServiceUnderTest, Starter

PEOPLE = 60
LINES = [
    *(balance(f"B-{n}", 10 + n % 7, identity_value=f"customer-{n % PEOPLE}") for n in range(700)),
    *(past("redeemed", f"R-{n}", 3, identity_value=f"customer-{n % PEOPLE}") for n in range(500)),
]
FILE = ndjson(LINES)


def _expected() -> dict[str, int]:
    totals: dict[str, int] = {}
    for one in LINES:
        sign = 1 if one["kind"] == "balance" else -1
        who = one["identity_value"]
        totals[who] = totals.get(who, 0) + sign * one["points"]
    return totals


async def _balances(loyalty: ServiceUnderTest) -> dict[str, int]:
    return {
        who: (await points_of(loyalty, await customer(loyalty, who)))["available"]
        for who in (f"customer-{n}" for n in range(PEOPLE))
    }


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def test_balances_afterwards_are_the_sums_of_the_file(loyalty: ServiceUnderTest) -> None:
    ended = await imported(loyalty, FILE)

    assert (ended["state"], counts(ended), ended["members"]) == ("done", (1200, 0, 0), PEOPLE)
    assert await _balances(loyalty) == _expected()
    assert await audit(loyalty) == 1200


@pytest.mark.parametrize("key", ["history", "another-key"])
async def test_killed_in_the_middle_and_sent_again_it_completes(start: Starter, key: str) -> None:
    loyalty = await start("loyalty")

    async def broken() -> AsyncIterator[bytes]:
        async for piece in pieces(FILE[: len(FILE) * 3 // 4]):
            yield piece
        raise ConnectionResetError

    opened = await _opened(loyalty, key="history")
    ended = await _taking(loyalty, opened).take(broken(), report=lambda _: None)
    assert (ended.state, ended.taken) == ("failed", 500)

    again = await imported(loyalty, FILE, key=key)

    assert (again["state"], counts(again)) == ("done", (700, 500, 0))
    assert await _balances(loyalty) == _expected()
    assert await audit(loyalty) == 1200


async def test_sent_again_under_another_key_it_changes_nothing(loyalty: ServiceUnderTest) -> None:
    await imported(loyalty, FILE)
    before = await everything(loyalty)

    assert counts(await imported(loyalty, FILE)) == (0, 1200, 0)

    assert await everything(loyalty) == before


async def test_a_batch_whose_commit_was_not_heard_of_is_not_posted_again(
    loyalty: ServiceUnderTest,
) -> None:
    """The database commits, and the connection breaks before it says so."""
    given_up: list[int] = []

    async def taken_then_lost(transaction: Transaction, row: Import, batch: Batch[Any]) -> Import:
        if not given_up:
            given_up.append(len(batch.lines))

            def take(tx: Transaction) -> Any:
                return take_points(tx, upload=row, batch=batch, vault=vault)

            await loyalty.database.run(take, actor=row.actor)
            raise ConnectionResetError
        return await take_points(transaction, upload=row, batch=batch, vault=vault)

    vault = loyalty.app.state.vault
    opened = await _opened(loyalty, key="history")

    ended = await _taking(loyalty, opened, take=taken_then_lost).take(
        pieces(FILE), report=lambda _: None
    )

    assert (ended.state, given_up) == ("done", [500])
    assert await _balances(loyalty) == _expected()
    assert await audit(loyalty) == 1200


async def test_a_batch_whose_members_moved_meanwhile_is_tried_again(
    loyalty: ServiceUnderTest,
) -> None:
    tried: list[int] = []

    async def moved_once(transaction: Transaction, row: Import, batch: Batch[Any]) -> Import:
        tried.append(1)
        if len(tried) == 1:
            raise OwnersMoved
        vault = loyalty.app.state.vault
        return await take_points(transaction, upload=row, batch=batch, vault=vault)

    opened = await _opened(loyalty, key="history")

    ended = await _taking(loyalty, opened, take=moved_once).take(
        pieces(ndjson([balance("A", 1)])), report=lambda _: None
    )

    assert (ended.state, ended.taken, len(tried)) == ("done", 1, 2)


async def test_two_uploads_of_one_file_at_once_post_it_once(loyalty: ServiceUnderTest) -> None:
    ended = await asyncio.gather(*(imported(loyalty, FILE) for _ in range(3)))

    assert [one["state"] for one in ended] == ["done"] * 3
    assert sum(one["movements"] for one in ended) == 1200
    assert sum(one["repeated"] for one in ended) == 2400
    assert await _balances(loyalty) == _expected()
    assert await audit(loyalty) == 1200


async def test_whoever_redeems_during_an_import_spends_what_is_there_and_no_more(
    loyalty: ServiceUnderTest, start: Starter
) -> None:
    replicas = await replicas_of(loyalty, start, count=4)
    await imported(
        loyalty, [balance("first", 100, identity_value=f"customer-{n}") for n in range(8)]
    )
    members = [await customer(loyalty, f"customer-{n}") for n in range(8)]
    lines = [past("redeemed", f"R-{n}", 60, identity_value=f"customer-{n % 8}") for n in range(24)]

    async def spend(service: ServiceUnderTest, member_id: str) -> int:
        given = {"points": 60, "purpose": "checkout", "reference": "SO-9"}
        reply = await insist(service, "redeem_points", member_id=member_id, json=given)
        return 60 if reply.status_code == 201 else 0

    async def bring_in() -> int:
        endings.append(await imported(loyalty, lines))
        return 0

    endings: list[dict[str, Any]] = []
    calls = [spend(replicas[n % 4], one) for n, one in enumerate(members * 2)]
    spent = await race(loyalty, *calls, bring_in(), at=ACCOUNTS, meeting=5)

    (ended,) = endings
    assert ended["movements"] + ended["refused"] == 24
    codes = {code for _, code, _ in await refusals(loyalty, ended["id"])}
    assert codes == {"insufficient_points"}
    left = await loyalty.scalar("select sum(available)::int from accounts")
    assert left == 800 - sum(spent) - 60 * ended["movements"] == 8 * 40
    await audit(loyalty)


async def test_an_import_and_live_earnings_at_once_lose_nothing(loyalty: ServiceUnderTest) -> None:
    first = [balance("first", 5, identity_value=f"customer-{n}") for n in range(PEOPLE)]
    await imported(loyalty, first)
    members = [await customer(loyalty, f"customer-{n}") for n in range(10)]

    async def spend(member_id: str) -> int:
        given = {"points": 1, "purpose": "checkout", "reference": "SO-9"}
        reply = await insist(loyalty, "redeem_points", member_id=member_id, json=given)
        assert reply.status_code == 201, reply.text
        return 1

    ended, *spent = await asyncio.gather(
        imported(loyalty, FILE), *(spend(one) for one in members * 4)
    )

    assert counts(ended) == (1200, 0, 0)
    total = await loyalty.scalar("select sum(available)::int from accounts")
    assert total == sum(_expected().values()) + 5 * PEOPLE - sum(spent)
    await audit(loyalty)


async def _opened(loyalty: ServiceUnderTest, *, key: str) -> Any:
    async with loyalty.database.begin(actor=MANAGER.actor) as transaction:
        return await open_import(
            transaction, key=key, media_type=NDJSON, terms=ImportTerms(kind="points")
        )


def _taking(loyalty: ServiceUnderTest, opened: Any, take: Any = None) -> Upload[Any]:
    def stored(transaction: Transaction, row: Import, batch: Batch[Any]) -> Any:
        return take_points(transaction, upload=row, batch=batch, vault=loyalty.app.state.vault)

    return Upload(
        database=loyalty.database,
        opened=opened,
        reader=reader_of(NDJSON, POINTS_LINES),
        take=take or stored,
    )
