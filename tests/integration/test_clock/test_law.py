"""The law of the test clock: one jump of many days ends in the same state as as many single days.

HUITOU_TEST_DAYS says how many: 30 if it is not set, which takes a minute and sees the nights, the
releases, the vouchers, holds and baskets that run out. HUITOU_TEST_DAYS=400 takes some
minutes and sees the expiry of points and its notices too; ask for it whenever jobs were changed.
"""

import os
from datetime import timedelta

from tests.integration.loyalty.audit import audit
from tests.integration.test_clock.conftest import Opener
from tests.integration.test_clock.history import tell
from tests.integration.test_clock.state import differences, state_of

DAY = timedelta(days=1)
DAYS = int(os.environ.get("HUITOU_TEST_DAYS", "30"))


async def test_many_days_in_one_jump_are_as_many_single_days(open_sandbox: Opener) -> None:
    at_once, day_by_day = await open_sandbox(), await open_sandbox()
    for box in (at_once, day_by_day):
        await tell(box)
    began = at_once.now()
    found = differences(await state_of(at_once.services), await state_of(day_by_day.services))
    assert found == [], "\n".join(found[:400])

    await at_once.advance(DAYS * DAY)
    for _ in range(DAYS):
        await day_by_day.advance(DAY)

    assert at_once.now() == day_by_day.now() == began + DAYS * DAY
    found = differences(await state_of(at_once.services), await state_of(day_by_day.services))
    assert found == [], "\n".join(found[:400])
    assert await audit(at_once.loyalty) > 0
    runs = await at_once.segmentation.scalar("select count(*) from segment_runs")
    assert runs == DAYS + 1, "every night, and the one that was due at noon of the first day"
    if DAYS > 100:
        left = "select count(*) from vouchers where state in ('held', 'issued')"
        assert await at_once.loyalty.scalar(left) == 0
