"""Referrals as lists and one by one."""

from datetime import timedelta
from typing import Any

import httpx

from tests.integration.referral.loyalty_played import Circle, enrolled, member_id, paid, refunded
from tests.support.service import NOON


async def many(circle: Circle, count: int) -> list[str]:
    """Newcomers with the referrer's code, one a minute."""
    members = [member_id() for _ in range(count)]
    await circle.tell(
        *(
            enrolled(member, code=circle.code, at=NOON + timedelta(minutes=number))
            for number, member in enumerate(members)
        )
    )
    return members


def referees(reply: httpx.Response) -> list[str]:
    assert reply.status_code == 200, reply.text
    return [one["referee"] for one in reply.json()["data"]]


async def test_whom_a_member_brought_comes_newest_first_page_by_page(circle: Circle) -> None:
    members = await many(circle, 7)
    seen: list[str] = []
    cursor: str | None = None
    pages = 0
    while pages == 0 or cursor is not None:
        params: dict[str, Any] = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        reply = await circle.referral.call(
            "list_member_referrals", member_id=circle.referrer, params=params
        )
        seen += referees(reply)
        cursor = reply.json()["next_cursor"]
        pages += 1
    assert (seen, pages) == (members[::-1], 3)


async def test_each_referral_comes_with_its_own_rewards(circle: Circle) -> None:
    await many(circle, 3)
    page = (await circle.referral.call("list_member_referrals", member_id=circle.referrer)).json()[
        "data"
    ]
    for one in page:
        assert [reward["beneficiary"] for reward in one["rewards"]] == [
            circle.referrer,
            one["referee"],
        ]
    assert len({reward["id"] for one in page for reward in one["rewards"]}) == 6


async def test_a_member_sees_only_whom_they_brought(circle: Circle) -> None:
    members = await many(circle, 2)
    for member in members:
        reply = await circle.referral.call("list_member_referrals", member_id=member)
        assert referees(reply) == []


async def test_lists_can_be_held_to_a_state(circle: Circle) -> None:
    bought, returned, idle = await many(circle, 3)
    await circle.tell(paid(bought, "SO-1"), paid(returned, "SO-2"), refunded(returned, "SO-2"))
    for state, expected in (
        ("completed", [bought]),
        ("reversed", [returned]),
        ("enrolled", [idle]),
        ("under_review", []),
    ):
        params = {"state": state}
        of_all = await circle.referral.call("list_referrals", params=params)
        of_one = await circle.referral.call(
            "list_member_referrals", member_id=circle.referrer, params=params
        )
        assert referees(of_all) == referees(of_one) == expected


async def test_one_referral_reads_as_in_the_list(circle: Circle) -> None:
    await circle.enrol()
    listed = await circle.of_referee()
    shown = await circle.referral.call("show_referral", referral_id=listed["id"])
    assert (shown.status_code, shown.json()) == (200, listed)


async def test_a_referral_that_is_not_there_is_not_found(circle: Circle) -> None:
    for wrong in ("ref_00000000000000000000000000", "ref_x", "mem_00000000000000000000000000"):
        reply = await circle.referral.call("show_referral", referral_id=wrong)
        assert (reply.status_code, reply.json()["code"]) == (404, "not_found")


async def test_wrong_pages_states_and_cursors_are_refused(circle: Circle) -> None:
    for params, code in (
        ({"limit": 0}, "validation_failed"),
        ({"limit": 201}, "validation_failed"),
        ({"limit": "x"}, "validation_failed"),
        ({"state": "lost"}, "validation_failed"),
        ({"cursor": "x"}, "invalid_cursor"),
        ({"cursor": "WzFd"}, "invalid_cursor"),
    ):
        reply = await circle.referral.call("list_referrals", params=params)
        assert (reply.status_code, reply.json()["code"]) == (422, code)
