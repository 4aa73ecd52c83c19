"""Uploads break, repeat, overlap and stall; what was taken stays, and nothing counts twice."""

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.loyalty.api.imports_lines import NDJSON as NDJSON_TYPE
from services.loyalty.api.imports_lines import reader_of
from services.loyalty.api.imports_lines_orders import ORDER_LINES
from services.loyalty.api.imports_upload import Upload
from services.loyalty.jobs import JOBS
from services.loyalty.operations.imports import (
    SILENCE,
    ImportInFlight,
    ImportSuperseded,
    ImportTerms,
    finish_import,
    open_import,
)
from services.loyalty.operations.imports_orders import take_orders
from services.loyalty.store.orders import hold_order
from shared.db import Transaction
from shared.jobs import run_due
from tests.integration.loyalty.imports_world import (
    NDJSON,
    counts,
    imported,
    line,
    ndjson,
    pieces,
    states,
    upload,
)
from tests.support.service import MANAGER, ServiceUnderTest, Starter
from tests.support.serving import serving
from tests.support.waiting import until

TERMS = ImportTerms(kind="orders")
HISTORY = ndjson([line(n, identity_value=f"customer-{n % 90}") for n in range(1200)])


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


def _token(loyalty: ServiceUnderTest, operation: str) -> dict[str, str]:
    token = loyalty.signer.token(audience="loyalty", operation=operation, principal=MANAGER)
    return {"Authorization": f"Bearer {token}"}


async def _only_import(loyalty: ServiceUnderTest) -> dict[str, Any]:
    (row,) = await loyalty.rows("select id from imports")
    shown = await loyalty.call("show_order_import", import_id=row.id)
    state: dict[str, Any] = shown.json()
    return state


async def test_how_far_it_is_can_be_asked_while_the_file_arrives(
    loyalty: ServiceUnderTest,
) -> None:
    seen: list[dict[str, Any]] = []

    async def slowly() -> AsyncIterator[bytes]:
        async for piece in pieces(HISTORY):
            yield piece
        seen.append(await _only_import(loyalty))

    ended = states(await upload(loyalty, slowly()))[-1]

    assert (seen[0]["state"], seen[0]["lines"], seen[0]["id"]) == ("receiving", 1000, ended["id"])
    assert counts(ended)["orders"] == 1200


async def test_the_same_key_and_file_get_the_first_end_again(loyalty: ServiceUnderTest) -> None:
    first = await imported(loyalty, HISTORY, key="history-2025")

    again = await upload(loyalty, HISTORY, key="history-2025")

    assert again.headers["Idempotency-Replayed"] == "true"
    assert states(again) == [first]
    assert await loyalty.scalar("select count(*) from imports") == 1


async def test_the_same_key_with_another_file_is_refused(loyalty: ServiceUnderTest) -> None:
    first = await imported(loyalty, HISTORY, key="history-2025")

    other = await upload(loyalty, ndjson([line(5000)]), key="history-2025")

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await _only_import(loyalty) == first
    assert await loyalty.scalar("select count(*) from orders") == 1200


async def test_a_second_upload_under_a_key_waits_for_the_first_to_end(
    loyalty: ServiceUnderTest,
) -> None:
    refused: list[httpx.Response] = []

    async def meanwhile() -> AsyncIterator[bytes]:
        async for piece in pieces(HISTORY):
            yield piece
        refused.append(await upload(loyalty, HISTORY, key="history-2025"))

    ended = states(await upload(loyalty, meanwhile(), key="history-2025"))[-1]

    assert (refused[0].status_code, refused[0].json()["code"]) == (409, "idempotency_in_flight")
    assert (ended["state"], ended["orders"]) == ("done", 1200)


async def _broken(loyalty: ServiceUnderTest, *, key: str) -> None:
    """Send most of the history over a real connection, and hang up."""
    async with serving(loyalty.app) as address:
        host, port = address.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        headers = {
            **_token(loyalty, "import_orders"),
            "Host": "loyalty",
            "Idempotency-Key": key,
            "Content-Type": NDJSON,
            "Content-Length": str(len(HISTORY)),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"POST /v1/orders/imports HTTP/1.1\r\n{head}\r\n".encode())
        writer.write(HISTORY[: len(HISTORY) * 9 // 10])
        await writer.drain()

        async def stored() -> bool:
            return bool(await loyalty.scalar("select count(*) from orders") == 1000)

        await until(stored, what="two batches to be stored")
        writer.close()

        async def failed() -> bool:
            rows = await loyalty.rows("select state from imports")
            return [row.state for row in rows] == ["failed"]

        await until(failed, what="the import to be marked as failed")


@pytest.mark.parametrize("key", ["history-2025", "another-key"])
async def test_a_broken_upload_keeps_what_was_taken_and_is_resumed(
    start: Starter, key: str
) -> None:
    loyalty = await start("loyalty")
    await _broken(loyalty, key="history-2025")
    assert (await _only_import(loyalty))["error"] == "upload_broken"

    resumed = await imported(loyalty, HISTORY, key=key)

    assert (resumed["state"], resumed["error"]) == ("done", None)
    assert (resumed["lines"], resumed["orders"], resumed["repeated"]) == (1200, 200, 1000)
    assert await loyalty.scalar("select count(*) from orders") == 1200
    assert await loyalty.scalar("select count(*) from members") == 90


async def test_a_lock_that_somebody_holds_for_long_does_not_end_an_upload(
    loyalty: ServiceUnderTest,
) -> None:
    """Longer than the database lets anybody wait for a lock: the batch is tried again."""
    history = ndjson([line(1)])
    async with loyalty.database.begin(actor="test") as transaction:
        await hold_order(transaction.session, order_id="H-1")
        uploading = asyncio.create_task(imported(loyalty, history))

        async def tried_again() -> bool:
            gave_up = (
                "select xact_rollback from pg_stat_database where datname = current_database()"
            )
            return bool(await loyalty.scalar(gave_up) > 0)

        await until(tried_again, what="the batch to give up waiting once")
    ended = await uploading

    assert (ended["state"], ended["orders"]) == ("done", 1)


async def test_an_upload_whose_process_died_is_given_up_and_can_be_taken_over(
    loyalty: ServiceUnderTest,
) -> None:
    async with loyalty.database.begin(actor=MANAGER.actor) as transaction:
        dead = await open_import(transaction, key="history-2025", media_type=NDJSON, terms=TERMS)
    (job,) = [one for one in JOBS if one.name == "abandon_silent_imports"]
    assert await run_due(job, database=loyalty.database) == 0

    loyalty.clock.advance(SILENCE + timedelta(seconds=1))

    assert await run_due(job, database=loyalty.database) == 1
    shown = await _only_import(loyalty)
    assert (shown["state"], shown["error"]) == ("failed", "upload_broken")
    resumed = await imported(loyalty, HISTORY, key="history-2025")
    assert (resumed["id"], resumed["orders"]) == (dead.row.id, 1200)


async def test_an_upload_that_was_taken_over_writes_nothing_more(
    loyalty: ServiceUnderTest,
) -> None:
    """The first upload hangs, silent for long; a second takes over; then the first goes on."""
    taken_over: list[dict[str, Any]] = []

    async def hanging() -> AsyncIterator[bytes]:
        yield ndjson([line(n) for n in range(500)])
        loyalty.clock.advance(SILENCE + timedelta(seconds=1))
        taken_over.append(await imported(loyalty, HISTORY, key="history-2025"))
        yield ndjson([line(n) for n in range(90_000, 90_500)])

    ended = states(await upload(loyalty, hanging(), key="history-2025"))[-1]

    assert (ended["state"], ended["error"]) == ("failed", "upload_superseded")
    assert await _only_import(loyalty) == taken_over[0]
    assert taken_over[0]["state"] == "done"
    late = "select count(*) from orders where order_id like 'H-9____'"
    assert await loyalty.scalar(late) == 0


async def test_a_silent_upload_fails_as_stalled(loyalty: ServiceUnderTest) -> None:
    async with loyalty.database.begin(actor=MANAGER.actor) as transaction:
        opened = await open_import(transaction, key="k", media_type=NDJSON, terms=TERMS)
    taking = Upload(
        database=loyalty.database,
        opened=opened,
        reader=reader_of(NDJSON_TYPE, ORDER_LINES),
        take=lambda transaction, row, batch: take_orders(
            transaction, upload=row, batch=batch, vault=loyalty.app.state.vault
        ),
        silence_s=0.05,
    )

    async def silent() -> AsyncIterator[bytes]:
        yield ndjson([line(n) for n in range(600)])
        await asyncio.Event().wait()

    ended = await taking.take(silent(), report=lambda _: None)

    assert (ended.state, ended.error, ended.taken) == ("failed", "upload_stalled", 500)
    assert (await _only_import(loyalty))["state"] == "failed"


async def test_a_caller_that_reads_nothing_until_all_is_sent_is_not_held_up(
    loyalty: ServiceUnderTest,
) -> None:
    """The connection takes no line of the reply before the whole file has been read."""
    arriving = [HISTORY[start : start + 4096] for start in range(0, len(HISTORY), 4096)]
    all_read = asyncio.Event()
    sent: list[bytes] = []

    async def receive() -> dict[str, Any]:
        piece = arriving.pop(0)
        if not arriving:
            all_read.set()
        return {"type": "http.request", "body": piece, "more_body": bool(arriving)}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await all_read.wait()
            sent.append(message["body"])

    async with asyncio.timeout(60):
        await loyalty.app(_scope(loyalty), receive, send)

    assert json.loads(sent[-1].splitlines()[-1])["orders"] == 1200


def _scope(loyalty: ServiceUnderTest) -> dict[str, Any]:
    headers = {
        **_token(loyalty, "import_orders"),
        "Idempotency-Key": "history-2025",
        "Content-Type": NDJSON,
    }
    return {
        "type": "http",
        "method": "POST",
        "path": "/v1/orders/imports",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }


async def test_an_upload_may_be_taken_over_from_the_moment_its_silence_is_long_enough(
    loyalty: ServiceUnderTest,
) -> None:
    async def opened(transaction: Transaction) -> int:
        found = await open_import(transaction, key="k", media_type=NDJSON, terms=TERMS)
        return found.row.attempt

    first = await loyalty.database.run(opened, actor="test")
    loyalty.clock.advance(SILENCE - timedelta(microseconds=1))
    with pytest.raises(ImportInFlight):
        await loyalty.database.run(opened, actor="test")
    loyalty.clock.advance(timedelta(microseconds=1))
    assert await loyalty.database.run(opened, actor="test") == first + 1


async def test_an_import_that_has_ended_does_not_end_otherwise(loyalty: ServiceUnderTest) -> None:
    ended = await imported(loyalty, ndjson([line(1)]))
    attempt = await loyalty.scalar("select attempt from imports")

    async def broken(transaction: Transaction) -> None:
        await finish_import(
            transaction, import_id=ended["id"], attempt=attempt, error="upload_broken"
        )

    with pytest.raises(ImportSuperseded):
        await loyalty.database.run(broken, actor="test")
    assert await loyalty.scalar("select state from imports") == "done"
