"""A database is a live system's or a sandbox's, and never the other's."""

import asyncio

import pytest
from starlette.types import Message

from shared.service.mode import WrongMode
from shared.settings import Mode
from tests.integration.shared.small_service import SmallStarter


@pytest.mark.parametrize(("first", "second"), [("live", "sandbox"), ("sandbox", "live")])
async def test_what_one_mode_has_opened_the_other_cannot(
    start_small: SmallStarter, first: Mode, second: Mode
) -> None:
    url = await start_small.database()
    small = await start_small(database_url=url, mode=first)
    with pytest.raises(WrongMode, match=f"HUITOU_MODE={first}"):
        await start_small(database_url=url, mode=second)
    await start_small(database_url=url, mode=first)
    assert await small.scalar("select mode from feed_head") == first


async def test_the_server_that_starts_us_is_told_the_reason_and_shown_no_traceback(
    start_small: SmallStarter,
) -> None:
    small = await start_small(mode="live")
    await small.change("update feed_head set mode = 'sandbox'")
    told: list[Message] = []

    async def send(message: Message) -> None:
        told.append(message)

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    with pytest.raises(WrongMode) as refused:
        await small.app({"type": "lifespan", "app": small.app, "state": {}}, receive, send)
    assert told == [{"type": "lifespan.startup.failed", "message": str(refused.value)}]


async def test_of_two_that_open_a_new_database_at_once_one_has_it(
    start_small: SmallStarter,
) -> None:
    url = await start_small.database()
    modes: tuple[Mode, ...] = ("live", "sandbox", "live", "sandbox")
    opened = await asyncio.gather(
        *(start_small(database_url=url, mode=mode) for mode in modes), return_exceptions=True
    )
    refused = [isinstance(one, WrongMode) for one in opened]
    assert refused in ([True, False, True, False], [False, True, False, True])
