"""Uploads whose batch was committed without anybody hearing of it: it counts once."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from services.loyalty.api.imports_lines import NDJSON, LineFormat, reader_of
from services.loyalty.api.imports_lines_orders import ORDER_LINES
from services.loyalty.api.imports_lines_points import POINTS_LINES
from services.loyalty.api.imports_upload import Upload
from services.loyalty.operations.imports import SILENCE, Batch, ImportTerms, open_import
from services.loyalty.operations.imports_orders import take_orders
from services.loyalty.operations.imports_points import take_points
from services.loyalty.store.tables import Import
from shared.db import Transaction
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.imports_points_world import balance, customer, imported, past
from tests.integration.loyalty.imports_points_world import refusals as refusals_of_points
from tests.integration.loyalty.imports_world import line, ndjson, pieces, refusals
from tests.integration.loyalty.people import points_of
from tests.support.service import MANAGER, ServiceUnderTest, Starter

KEY = "history-2025"
TERMS = ImportTerms(kind="orders")


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def _sent(
    loyalty: ServiceUnderTest,
    lines: Sequence[dict[str, Any]],
    *,
    lost: int,
    terms: ImportTerms = TERMS,
    meanwhile: Callable[[], Awaitable[Any]] | None = None,
) -> Import:
    """Send a file; the connection breaks after the commit of the batch numbered `lost`."""
    async with loyalty.database.begin(actor=MANAGER.actor) as transaction:
        opened = await open_import(transaction, key=KEY, media_type=NDJSON, terms=terms)
    vault, tried = loyalty.app.state.vault, 0
    given: LineFormat[Any] = ORDER_LINES if terms.kind == "orders" else POINTS_LINES
    take_lines: Any = take_orders if terms.kind == "orders" else take_points

    async def take(transaction: Transaction, row: Import, batch: Batch[Any]) -> Import:
        def taken(one: Transaction) -> Awaitable[Import]:
            answer: Awaitable[Import] = take_lines(one, upload=row, batch=batch, vault=vault)
            return answer

        nonlocal tried
        tried += 1
        if tried == lost:
            await loyalty.database.run(taken, actor=row.actor)
            if meanwhile is not None:
                await meanwhile()
            raise ConnectionResetError
        return await taken(transaction)

    upload = Upload(
        database=loyalty.database, opened=opened, reader=reader_of(NDJSON, given), take=take
    )
    return await upload.take(pieces(ndjson(lines)), report=lambda _: None)


def _counts(row: Import) -> dict[str, int]:
    return {n: getattr(row, n) for n in ("lines", "taken", "repeated", "refused", "members")}


@pytest.mark.parametrize("lost", [1, 2])
async def test_a_batch_whose_commit_was_not_heard_of_counts_once(
    loyalty: ServiceUnderTest, lost: int
) -> None:
    lines = [line(n) for n in range(1000)]
    lines[3]["paid_fen"] = lines[503]["paid_fen"] = -1

    ended = await _sent(loyalty, lines, lost=lost)

    assert (ended.state, ended.error) == ("done", None)
    wanted = {"lines": 1000, "taken": 998, "repeated": 0, "refused": 2, "members": 1}
    assert _counts(ended) == wanted
    shown = (await loyalty.call("show_order_import", import_id=ended.id)).json()
    assert (shown["lines"], shown["orders"], shown["refused"]) == (1000, 998, 2)
    assert await refusals(loyalty, ended.id) == [
        (4, "invalid", "/paid_fen"),
        (504, "invalid", "/paid_fen"),
    ]
    assert (
        await loyalty.scalar("select count(*) from outbox where type = 'orders.imported.v1'") == 2
    )


async def test_a_line_that_was_refused_is_not_posted_when_its_batch_is_tried_again(
    loyalty: ServiceUnderTest,
) -> None:
    """By then there would be points enough; but it was counted as refused, and told as such."""
    await imported(loyalty, [balance("A", 5)])
    lines = [past("redeemed", "R", 60), balance("B", 1)]

    ended = await _sent(
        loyalty,
        lines,
        lost=1,
        terms=ImportTerms(kind="points"),
        meanwhile=lambda: imported(loyalty, [balance("C", 100)]),
    )

    assert ended.state == "done"
    assert _counts(ended) == {"lines": 2, "taken": 1, "repeated": 0, "refused": 1, "members": 0}
    assert await refusals_of_points(loyalty, ended.id) == [(1, "insufficient_points", "/points")]
    assert (await points_of(loyalty, await customer(loyalty)))["available"] == 106
    await audit(loyalty)


async def test_a_batch_that_was_counted_before_another_upload_took_over_is_not_counted_for_it(
    loyalty: ServiceUnderTest,
) -> None:
    async def taken_over() -> None:
        loyalty.clock.advance(SILENCE + timedelta(seconds=1))
        async with loyalty.database.begin(actor=MANAGER.actor) as transaction:
            await open_import(transaction, key=KEY, media_type=NDJSON, terms=TERMS)

    ended = await _sent(loyalty, [line(1)], lost=1, meanwhile=taken_over)

    assert (ended.state, ended.error) == ("failed", "upload_superseded")
    (row,) = await loyalty.rows("select state, attempt, lines from imports")
    assert tuple(row) == ("receiving", 2, 0)
