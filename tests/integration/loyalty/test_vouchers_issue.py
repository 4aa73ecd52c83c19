"""Issuing vouchers in bulk: never oversold, all or none, within what one member may have."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from shared.sql import execute
from tests.integration.loyalty.vouchers_world import (
    FIFTY_OFF_199,
    events,
    insist,
    member,
    members,
    template,
)
from tests.support.service import NOON, ServiceUnderTest, Starter

NOBODY = "mem_00000000000000000000000000"


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def _issued(loyalty: ServiceUnderTest, template_id: str) -> tuple[int, int]:
    """What the template counts, and what wallets hold of it."""
    shown = (await loyalty.call("show_voucher_template", template_id=template_id)).json()
    held = await loyalty.scalar(
        "select count(*) from vouchers where template_id = :id", id=template_id
    )
    return shown["issued"], held


async def test_each_member_gets_one_voucher_and_an_event(loyalty: ServiceUnderTest) -> None:
    everybody, template_id = await members(loyalty, 3), await template(loyalty)

    issued = await loyalty.call(
        "issue_vouchers", template_id=template_id, json={"member_ids": everybody}
    )

    assert issued.status_code == 201
    assert issued.json()["issued"] == 3
    assert [one["member_id"] for one in issued.json()["vouchers"]] == everybody
    told = await events(loyalty, "voucher.issued.v1")
    assert [one["member_id"] for one in told] == everybody
    wallet = await loyalty.call("list_member_vouchers", member_id=everybody[0])
    (voucher,) = wallet.json()["data"]
    assert voucher["template"] == {"id": template_id, "name": "满199减50"}
    assert (voucher["amount_fen"], voucher["threshold_fen"]) == (5000, 19900)
    assert (voucher["state"], voucher["kind"]) == ("issued", "amount_off")
    assert voucher["source"]["kind"] == "issue"


async def test_a_repeated_request_issues_once(loyalty: ServiceUnderTest) -> None:
    asked: dict[str, Any] = {
        "template_id": await template(loyalty),
        "json": {"member_ids": await members(loyalty, 2)},
        "key": "campaign-11",
    }

    replies = await asyncio.gather(*(insist(loyalty, "issue_vouchers", **asked) for _ in range(20)))

    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.content for reply in replies}) == 1
    assert await _issued(loyalty, asked["template_id"]) == (2, 2)


async def test_stock_is_never_oversold_whatever_the_concurrency(loyalty: ServiceUnderTest) -> None:
    everybody = await members(loyalty, 3)
    template_id = await template(loyalty, stock=50)

    replies = await asyncio.gather(
        *(
            insist(
                loyalty, "issue_vouchers", template_id=template_id, json={"member_ids": everybody}
            )
            for _ in range(40)
        )
    )

    won = [reply for reply in replies if reply.status_code == 201]
    lost = [reply for reply in replies if reply.status_code == 409]
    assert (len(won), len(lost)) == (16, 24)
    assert {reply.json()["code"] for reply in lost} == {"voucher_stock_exhausted"}
    assert await _issued(loyalty, template_id) == (48, 48)


async def test_too_little_stock_issues_to_nobody(loyalty: ServiceUnderTest) -> None:
    template_id = await template(loyalty, stock=2)

    refused = await loyalty.call(
        "issue_vouchers", template_id=template_id, json={"member_ids": await members(loyalty, 3)}
    )

    assert refused.json()["code"] == "voucher_stock_exhausted"
    assert "3" in refused.json()["detail"]
    assert await _issued(loyalty, template_id) == (0, 0)


async def test_the_limit_per_member_holds_whatever_the_concurrency(
    loyalty: ServiceUnderTest,
) -> None:
    member_id, template_id = await member(loyalty), await template(loyalty, per_member_limit=2)

    replies = await asyncio.gather(
        *(
            insist(
                loyalty,
                "issue_vouchers",
                template_id=template_id,
                json={"member_ids": [member_id]},
            )
            for _ in range(20)
        )
    )

    assert sorted(reply.status_code for reply in replies) == [201] * 2 + [409] * 18
    lost = [reply for reply in replies if reply.status_code == 409]
    assert {reply.json()["code"] for reply in lost} == {"voucher_limit_reached"}
    assert all(member_id in reply.json()["detail"] for reply in lost)
    assert await _issued(loyalty, template_id) == (2, 2)


async def test_one_unknown_member_is_named_and_nobody_gets_anything(
    loyalty: ServiceUnderTest,
) -> None:
    known, template_id = await member(loyalty), await template(loyalty)

    refused = await loyalty.call(
        "issue_vouchers", template_id=template_id, json={"member_ids": [known, NOBODY]}
    )

    assert (refused.status_code, refused.json()["code"]) == (422, "members_unknown")
    assert NOBODY in refused.json()["detail"]
    assert known not in refused.json()["detail"]
    assert await _issued(loyalty, template_id) == (0, 0)
    assert await events(loyalty, "voucher.issued.v1") == []


async def test_nothing_is_issued_to_one_who_was_erased(loyalty: ServiceUnderTest) -> None:
    member_id, template_id = await member(loyalty), await template(loyalty)
    async with loyalty.database.begin(actor="test") as transaction:
        erase = text("update members set state = 'erased' where id = :id")
        await execute(transaction.session, erase, {"id": member_id})

    refused = await loyalty.call(
        "issue_vouchers", template_id=template_id, json={"member_ids": [member_id]}
    )

    assert refused.json()["code"] == "members_unknown"


async def test_the_same_member_twice_and_too_many_are_refused(loyalty: ServiceUnderTest) -> None:
    member_id, template_id = await member(loyalty), await template(loyalty)

    twice = await loyalty.call(
        "issue_vouchers", template_id=template_id, json={"member_ids": [member_id] * 2}
    )
    many = [f"mem_{number:026d}" for number in range(1001)]
    too_many = await loyalty.call(
        "issue_vouchers", template_id=template_id, json={"member_ids": many}
    )
    none = await loyalty.call("issue_vouchers", template_id=template_id, json={"member_ids": []})

    for refused in (twice, too_many, none):
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"] == "/member_ids"
    assert await _issued(loyalty, template_id) == (0, 0)


async def test_a_template_whose_dates_are_past_issues_nothing(loyalty: ServiceUnderTest) -> None:
    member_id = await member(loyalty)
    until = NOON + timedelta(days=1)
    template_id = await template(loyalty, validity_days=None, valid_until=until.isoformat())
    loyalty.clock.advance(timedelta(days=1))

    refused = await loyalty.call(
        "issue_vouchers", template_id=template_id, json={"member_ids": [member_id]}
    )

    assert (refused.status_code, refused.json()["code"]) == (409, "voucher_template_over")
    assert await _issued(loyalty, template_id) == (0, 0)


async def test_a_template_is_shown_and_listed_as_it_was_made(loyalty: ServiceUnderTest) -> None:
    older = await template(loyalty)
    loyalty.clock.advance(timedelta(seconds=1))
    terms = {
        "name": "新客85折",
        "kind": "new_customer",
        "percent_off": 15,
        "cap_fen": 3000,
        "scope": {"categories": ["tea"]},
        "validity_days": 7,
        "stock": 10,
        "per_member_limit": 1,
        "stackable": True,
    }
    made = (await loyalty.call("create_voucher_template", json=terms)).json()

    assert {name: made[name] for name in terms} == terms
    assert (made["issued"], made["state"], made["amount_fen"]) == (0, "active", None)
    shown = await loyalty.call("show_voucher_template", template_id=made["id"])
    assert shown.json() == made
    listed = await loyalty.call("list_voucher_templates")
    assert [row["id"] for row in listed.json()["data"]] == [made["id"], older]


@pytest.mark.parametrize(
    ("terms", "pointer"),
    [
        ({"amount_fen": None}, "/amount_fen"),
        ({"percent_off": 15}, "/amount_fen"),
        ({"kind": "percent_off", "amount_fen": None}, "/percent_off"),
        ({"kind": "percent_off", "percent_off": 101, "amount_fen": None}, "/percent_off"),
        ({"kind": "new_customer", "amount_fen": None}, "/amount_fen"),
        ({"kind": "gift"}, "/amount_fen"),
        ({"cap_fen": 100}, "/cap_fen"),
        ({"amount_fen": 0}, "/amount_fen"),
        ({"threshold_fen": -1}, "/threshold_fen"),
        ({"validity_days": None}, "/validity_days"),
        ({"valid_until": "2027-01-01T00:00:00Z"}, "/valid_until"),
        ({"valid_from": "2027-01-01T00:00:00Z"}, "/valid_from"),
        (
            {
                "validity_days": None,
                "valid_from": "2027-01-02T00:00:00Z",
                "valid_until": "2027-01-01T00:00:00Z",
            },
            "/valid_until",
        ),
        ({"scope": {}}, "/scope"),
        ({"scope": {"all": True, "skus": ["TEA-1"]}}, "/scope"),
        ({"stock": 0}, "/stock"),
        ({"per_member_limit": 0}, "/per_member_limit"),
        ({"name": " "}, "/name"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_terms_that_cannot_be_are_refused_where_they_stand(
    loyalty: ServiceUnderTest, terms: dict[str, Any], pointer: str
) -> None:
    refused = await loyalty.call("create_voucher_template", json={**FIFTY_OFF_199, **terms})

    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]
    assert (await loyalty.call("list_voucher_templates")).json()["data"] == []
