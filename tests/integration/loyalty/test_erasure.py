"""Erasing a member: nothing personal is left anywhere, and the books still agree."""

import io
import logging
from datetime import timedelta
from typing import Any

import pytest

from services.loyalty.store.erasure import ERASED, KEPT
from services.loyalty.store.tables import metadata
from shared.kernel.clock import rfc3339
from tests.integration.loyalty import imports_world
from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.imports_points_world import (
    balance,
    counts,
    imported,
    past,
    refusals,
)
from tests.integration.loyalty.imports_world import line, ndjson
from tests.integration.loyalty.lots_world import shanghai
from tests.integration.loyalty.members_world import (
    bought,
    erase,
    export,
    indebted,
    known_as,
    merge,
    part,
    reserve,
)
from tests.integration.loyalty.moves import adjust
from tests.integration.loyalty.people import (
    complete,
    enrol,
    everything,
    order_of,
    place,
    points_of,
    redeem,
    refund,
    spendable,
)
from tests.integration.loyalty.vouchers_world import (
    events,
    hear,
    reversal_due,
    reward_due,
    template,
)
from tests.support.service import ServiceUnderTest, Starter

PHONE = {"kind": "phone", "value": "13800138000"}
OPENID = {"kind": "wechat_openid", "app_id": "wx1", "value": "oCANARY_openid_0001"}
CANARIES = (
    "13800138000", "138****8000", "oCANARY_openid_0001", "爱丽丝金丝雀", "1995-05-20", "金丝雀市",
    "金丝雀标签", "canary_purpose", "device-canary-1", "payer-canary-1", "金丝雀理由",
    "CODE-CANARY",
)  # fmt: skip


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def canary(loyalty: ServiceUnderTest) -> str:
    """Somebody with something personal in every place there is; their id."""
    member_id = await known_as(
        loyalty, PHONE, OPENID, nickname="爱丽丝金丝雀", birthday="1995-05-20", gender="female",
        city="金丝雀市", tags=["金丝雀标签"], consents={"canary_purpose": True},
        device_id="device-canary-1", referral_code="CODE-CANARY",
    )  # fmt: skip
    body = order_of(member_id, paid_fen=30_000, device_id="device-canary-1")
    await loyalty.call("record_order", json={**body, "payer_id": "payer-canary-1"})
    await loyalty.call(
        "update_member_profile", member_id=member_id, json={"city": "金丝雀市"}, key="profile-1"
    )
    return member_id


async def dump(loyalty: ServiceUnderTest) -> str:
    """Every row of every table, as text; bytes both as hex and as what they spell."""
    tables = [row.tablename for row in await loyalty.rows(
        "select tablename from pg_tables where schemaname = 'public'"
    )]  # fmt: skip
    rows = [
        row.data
        for table in tables
        for row in await loyalty.rows(f"select to_json(t)::text as data from {table} t")
    ]
    bodies = await loyalty.rows("select body from idempotency_keys where body is not null")
    return "\n".join([*rows, *(bytes(row.body).decode() for row in bodies)])


async def test_nothing_personal_is_left_in_any_table_event_reply_or_line_of_the_log(
    loyalty: ServiceUnderTest, capsys: pytest.CaptureFixture[str]
) -> None:
    logged = io.StringIO()
    logging.getLogger().addHandler(logging.StreamHandler(logged))
    member_id = await canary(loyalty)
    twin = await enrol(
        loyalty,
        identities=[{"kind": "external", "value": "CODE-CANARY-2"}],
        nickname="爱丽丝金丝雀",
    )
    await loyalty.call(
        "merge_members", member_id=member_id,
        json={"source_member_id": twin, "reason": "金丝雀理由"},
    )  # fmt: skip
    payer_hash = await loyalty.scalar("select payer_hash from orders")
    before = await dump(loyalty)
    seen_before = [one for one in CANARIES if one in before]
    assert {"爱丽丝金丝雀", "138****8000", "金丝雀理由", "device-canary-1"} <= set(seen_before)
    sealed = [row.value.hex() for row in await sealed_values(loyalty)]
    assert len(sealed) == 3
    assert all(one in before for one in sealed)

    assert (await erase(loyalty, member_id)).status_code == 202

    after = await dump(loyalty)
    lines = capsys.readouterr().out + logged.getvalue()
    for one in [*CANARIES, *sealed, payer_hash]:
        assert one not in after
    for one in CANARIES:
        assert one not in lines
    assert await sealed_values(loyalty) == []
    await audit(loyalty)


async def test_who_repeats_the_enrolment_is_told_that_nobody_is_there(
    loyalty: ServiceUnderTest,
) -> None:
    body = {"identities": [PHONE], "nickname": "爱丽丝金丝雀"}
    enrolled = await loyalty.call("enrol_member", json=body, key="enrol-1")
    await erase(loyalty, enrolled.json()["id"])
    again = await loyalty.call("enrol_member", json=body, key="enrol-1")
    assert (again.status_code, again.json()["code"]) == (404, "member_not_found")
    assert await loyalty.scalar("select count(*) from members where state = 'active'") == 0


async def test_the_books_close_at_nothing_and_the_chain_still_holds(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await spendable(loyalty, points=900)
    await bought(loyalty, member_id, points=70)
    await reserve(loyalty, member_id, points=500)
    chain = await loyalty.rows("select seq, hash from point_entries order by seq")
    reply = await erase(loyalty, member_id)
    assert reply.json()["state"] == "erased"
    (account,) = await loyalty.rows("select available, pending, held, debt from accounts")
    assert tuple(account) == (0, 0, 0, 0)
    written_off = await loyalty.scalar(
        "select sum(points)::bigint from point_entries where credit_account = 'written_off'"
    )
    assert written_off == 970
    longer = await loyalty.rows("select seq, hash from point_entries order by seq")
    assert longer[: len(chain)] == chain
    assert await loyalty.scalar("select state from reservations") == "released"
    assert await loyalty.scalar("select state from redemptions") == "released"
    await audit(loyalty)


async def test_debt_is_written_off_too(loyalty: ServiceUnderTest) -> None:
    member_id = await indebted(loyalty, points=80)
    await erase(loyalty, member_id)
    assert await loyalty.scalar("select debt from accounts") == 0
    await audit(loyalty)


async def test_an_erased_member_is_found_nowhere_and_takes_nothing(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await canary(loyalty)
    await erase(loyalty, member_id)
    before = await everything(loyalty)
    template_id = await template(loyalty)
    for reply in [
        *[
            await loyalty.call(operation, member_id=member_id)
            for operation in (
                "show_member", "show_wallet", "show_points", "list_point_entries",
                "list_member_vouchers", "list_member_merges", "export_member",
            )
        ],
        await redeem(loyalty, member_id, points=1),
        await loyalty.call("record_order", json=order_of(member_id, paid_fen=100)),
        await loyalty.call("update_member_profile", member_id=member_id, json={"city": "杭州"}),
    ]:  # fmt: skip
        assert (reply.status_code, reply.json()["code"]) == (404, "member_not_found")
    issued = await loyalty.call(
        "issue_vouchers", template_id=template_id, json={"member_ids": [member_id]}
    )
    assert issued.status_code in (404, 409, 422)
    found = await loyalty.call(
        "find_members", params={"identity_kind": "phone", "identity_value": "13800138000"}
    )
    assert found.json()["data"] == []
    assert await everything(loyalty) == before


async def test_erasing_twice_is_as_good_as_once(loyalty: ServiceUnderTest) -> None:
    member_id = await canary(loyalty)
    first = await erase(loyalty, member_id)
    before = await everything(loyalty)
    again = await erase(loyalty, member_id)
    assert (again.status_code, again.json()) == (202, first.json())
    assert await everything(loyalty) == before
    heard = await loyalty.rows("select subject from outbox where type = 'member.erased.v1'")
    assert [row.subject for row in heard] == [member_id]
    nobody = await erase(loyalty, "mem_" + "0" * 26)
    assert (nobody.status_code, nobody.json()["code"]) == (404, "member_not_found")


async def test_a_refund_and_a_completion_of_an_erased_members_order_are_still_recorded(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    order_id = await bought(loyalty, member_id, points=200, ready=True)
    other = await bought(loyalty, member_id, points=50)
    await redeem(loyalty, member_id, points=200)
    await erase(loyalty, member_id)
    answer = await refund(loyalty, order_id, amount_fen=5_000)
    assert answer["points"]["clawed_back"] == 0
    await refund(loyalty, order_id, amount_fen=15_000)
    await complete(loyalty, other)
    (order,) = await loyalty.rows(
        "select state, refunded_fen from orders where order_id = :id", id=order_id
    )
    assert tuple(order) == ("refunded", 20_000)
    (account,) = await loyalty.rows("select available, pending, held, debt from accounts")
    assert tuple(account) == (0, 0, 0, 0)
    refunded = await loyalty.rows("select data from outbox where type = 'order.refunded.v1'")
    assert len(refunded) == 2
    await audit(loyalty)


async def test_open_vouchers_are_voided_and_a_reward_is_taken_back_in_peace(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    await hear(loyalty, reward_due(member_id=member_id))
    await erase(loyalty, member_id)
    (voucher,) = await loyalty.rows("select state, reason from vouchers")
    assert tuple(voucher) == ("voided", "member_erased")
    await hear(loyalty, reversal_due(member_id=member_id))
    await hear(loyalty, reward_due(member_id=member_id, reward_id="rwd_2"))
    states = await loyalty.rows("select state, outcome from rewards order by reward_id")
    assert [tuple(row) for row in states] == [("reversed", "voided"), ("refused", None)]


async def test_a_voucher_used_on_an_order_that_goes_back_after_the_erasure_stays_used(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    issued = await loyalty.call(
        "issue_vouchers", template_id=await template(loyalty), json={"member_ids": [member_id]}
    )
    voucher_id = issued.json()["vouchers"][0]["id"]
    order = order_of(member_id, paid_fen=25_900)
    use = {"order_id": order["order_id"], "order_fen": 30_900}
    assert (await loyalty.call("redeem_voucher", voucher_id=voucher_id, json=use)).is_success
    assert (await loyalty.call("record_order", json=order)).is_success
    await erase(loyalty, member_id)

    await refund(loyalty, order["order_id"], amount_fen=25_900)

    assert await loyalty.scalar("select state from vouchers") == "redeemed"
    assert await events(loyalty, "voucher.restored.v1") == []
    again = {"order_id": "SO-NEXT", "order_fen": 30_900}
    refused = await loyalty.call("redeem_voucher", voucher_id=voucher_id, json=again)
    assert (refused.status_code, refused.json()["code"]) == (409, "voucher_already_redeemed")


async def test_erasing_the_survivor_erases_those_merged_into_it(loyalty: ServiceUnderTest) -> None:
    target, source = await enrol(loyalty), await canary(loyalty)
    await merge(loyalty, target, source)
    refused = await erase(loyalty, source)
    assert (refused.status_code, refused.json()["code"]) == (409, "member_merged")
    await erase(loyalty, target)
    states = await loyalty.rows("select state, merged_into, nickname from members")
    assert [tuple(row) for row in states] == [("erased", None, None)] * 2
    gone = await loyalty.call("show_member", member_id=source)
    assert gone.status_code == 404
    heard = await loyalty.rows("select subject from outbox where type = 'member.erased.v1'")
    assert {row.subject for row in heard} == {target, source}
    after = await dump(loyalty)
    assert not [one for one in CANARIES if one in after]
    await audit(loyalty)


async def test_who_comes_back_is_a_new_member_marked_as_erased_before(
    loyalty: ServiceUnderTest,
) -> None:
    gone = await known_as(loyalty, PHONE, OPENID)
    await erase(loyalty, gone)
    back = await known_as(loyalty, OPENID)
    fresh = await enrol(loyalty)
    assert back != gone
    marked = await loyalty.rows(
        "select data ->> 'member_id' as member_id, data -> 'previously_erased' as before"
        " from outbox where type = 'member.enrolled.v1' order by id"
    )
    assert [(row.member_id, row.before) for row in marked] == [
        (gone, False), (back, True), (fresh, False),
    ]  # fmt: skip
    assert (await export(loyalty, back))["profiles"][0]["previously_erased"]


async def test_the_past_does_not_catch_up_with_who_comes_back(loyalty: ServiceUnderTest) -> None:
    """Nor while they live on in somebody else; what happened since is taken, as anybody's."""
    who = {"identity_kind": "phone", "identity_value": PHONE["value"]}
    gone = await known_as(loyalty, PHONE)
    await imported(loyalty, [balance("B-1", 500, **who)])
    fresh = await enrol(loyalty)
    await erase(loyalty, gone)
    loyalty.clock.advance(timedelta(days=2))
    back = await known_as(loyalty, PHONE)
    since = rfc3339(loyalty.clock.at)
    old = [balance("B-1", 500, **who), past("earned", "E-1", 500, **who)]
    old_order = line(1, **who)

    async def the_past_is_refused() -> None:
        ended = await imported(loyalty, old)
        assert await refusals(loyalty, ended["id"]) == [
            (number, "member_erased", "/identity_value") for number in (1, 2)
        ]
        orders = await imports_world.imported(loyalty, ndjson([old_order]), earn="true")
        assert (orders["orders"], orders["refused"]) == (0, 1)

    await the_past_is_refused()
    merge_id = (await merge(loyalty, fresh, back))["id"]
    await the_past_is_refused()
    await part(loyalty, merge_id)
    assert counts(await imported(loyalty, [balance("B-2", 7, identity_value=None,
                                                   member_id=fresh)])) == (1, 0, 0)  # fmt: skip
    new = past("earned", "E-2", 30, occurred_at=since, **who)
    assert counts(await imported(loyalty, [new])) == (1, 0, 0)
    new_order = line(2, **who, paid_at=since)
    taken = await imports_world.imported(loyalty, ndjson([new_order]))
    assert taken["orders"] == 1
    assert (await points_of(loyalty, back))["available"] == 30
    await audit(loyalty)


async def test_a_refund_after_the_erasure_changes_no_growth(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    order_id = await place(loyalty, member_id, paid_fen=10_000)
    await erase(loyalty, member_id)

    await refund(loyalty, order_id, amount_fen=4_000)

    assert await loyalty.scalar("select growth from growth_entries") == 100
    assert await loyalty.scalar("select refunded_fen from orders") == 4_000
    await audit(loyalty)


async def test_who_comes_back_is_no_new_customer(loyalty: ServiceUnderTest) -> None:
    await erase(loyalty, await known_as(loyalty, PHONE))
    back, fresh = await known_as(loyalty, PHONE), await enrol(loyalty)
    template_id = await template(loyalty, kind="new_customer", threshold_fen=0)
    issued = await loyalty.call(
        "issue_vouchers", template_id=template_id, json={"member_ids": [back, fresh]}
    )
    told = {}
    for number, one in enumerate(issued.json()["vouchers"]):
        order = {"order_id": f"SO-{number}", "order_fen": 25_900}
        reply = await loyalty.call("redeem_voucher", voucher_id=one["id"], json=order)
        told[one["member_id"]] = (reply.status_code, reply.json()["code"])
    assert told[back] == (409, "voucher_for_new_customers")
    assert told[fresh][0] == 201


async def test_only_while_they_are_one_is_who_was_merged_with_somebody_erased_no_new_customer(
    loyalty: ServiceUnderTest,
) -> None:
    await erase(loyalty, await known_as(loyalty, PHONE))
    back, fresh = await known_as(loyalty, PHONE), await enrol(loyalty)
    marks = "select id, previously_erased from members where id = :id"
    merge_id = (await merge(loyalty, fresh, back))["id"]
    assert (await loyalty.rows(marks, id=fresh))[0].previously_erased
    await part(loyalty, merge_id)
    assert not (await loyalty.rows(marks, id=fresh))[0].previously_erased
    assert (await loyalty.rows(marks, id=back))[0].previously_erased


async def test_what_is_remembered_of_an_identity_leads_to_nobody(loyalty: ServiceUnderTest) -> None:
    await erase(loyalty, await known_as(loyalty, PHONE))
    (row,) = await loyalty.rows("select to_json(e) as facts from erased_identities e")
    assert row.facts.keys() == {"kind", "app_id", "value_hash", "erased_on"}
    assert len(row.facts["erased_on"]) == len("2026-11-25")
    assert await loyalty.scalar("select count(*) from identities") == 0


def test_every_table_of_a_member_is_erased_or_said_to_be_kept() -> None:
    keyed = {table.name for table in metadata.sorted_tables if "member_id" in table.columns}
    assert ERASED.keys() | KEPT.keys() == keyed
    assert not ERASED.keys() & KEPT.keys()


async def sealed_values(loyalty: ServiceUnderTest) -> list[Any]:
    return await loyalty.rows("select value_encrypted as value from identities")


async def test_a_merge_taken_back_leaves_the_mark_of_who_was_erased_before_themselves(
    loyalty: ServiceUnderTest,
) -> None:
    for identity in (PHONE, OPENID):
        await erase(loyalty, await known_as(loyalty, identity))
    target, source = await known_as(loyalty, PHONE), await known_as(loyalty, OPENID)
    await part(loyalty, (await merge(loyalty, target, source))["id"])
    marked = await loyalty.rows(
        "select id from members where previously_erased and state = 'active'"
    )
    assert {row.id for row in marked} == {target, source}


async def test_what_waits_for_a_second_person_is_rejected_with_the_erasure(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    assert (await adjust(loyalty, member_id, 10_001)).status_code == 202
    await erase(loyalty, member_id)
    assert await loyalty.scalar("select state from adjustments") == "rejected"


async def test_who_repeats_the_enrolment_is_told_so_as_a_problem(
    loyalty: ServiceUnderTest,
) -> None:
    body = {"identities": [PHONE]}
    enrolled = await loyalty.call("enrol_member", json=body, key="enrol-1")
    await erase(loyalty, enrolled.json()["id"])
    again = await loyalty.call("enrol_member", json=body, key="enrol-1")
    assert again.headers["content-type"] == "application/problem+json"


async def test_an_identity_is_remembered_from_the_business_day_of_the_last_erasure(
    loyalty: ServiceUnderTest,
) -> None:
    days = []
    for at in (shanghai(2026, 11, 24), shanghai(2026, 11, 25, 7, 59)):  # the day before in UTC
        loyalty.clock.at = at
        await erase(loyalty, await known_as(loyalty, PHONE))
        days.append(await loyalty.scalar("select erased_on::text from erased_identities"))
    assert days == ["2026-11-24", "2026-11-25"]
