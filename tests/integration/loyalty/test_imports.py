"""An order history is taken once, with the members it tells of, and earns nothing."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from shared.kernel.paging import encode_cursor
from shared.sql import execute
from tests.integration.loyalty.imports_world import (
    counts,
    imported,
    line,
    ndjson,
    refusals,
    states,
    upload,
)
from tests.integration.loyalty.people import enrol, order_of, wallet_of
from tests.integration.loyalty.vouchers_world import events, insist
from tests.support.service import ServiceUnderTest, Starter


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def _owner(loyalty: ServiceUnderTest, order_id: str) -> str:
    owner: str = await loyalty.scalar(
        "select member_id from orders where order_id = :id", id=order_id
    )
    return owner


async def test_a_history_becomes_orders_of_enrolled_members(loyalty: ServiceUnderTest) -> None:
    lines = [line(1), line(2, refunded_fen=900), line(3, identity_value="customer-8")]

    ended = await imported(loyalty, ndjson(lines))

    assert ended["state"] == "done"
    assert counts(ended) == {"lines": 3, "orders": 3, "repeated": 0, "refused": 0, "members": 2}
    assert await _owner(loyalty, "H-1") == await _owner(loyalty, "H-2")
    found = await loyalty.call(
        "find_members", params={"identity_kind": "external", "identity_value": "customer-8"}
    )
    assert [one["id"] for one in found.json()["data"]] == [await _owner(loyalty, "H-3")]
    shown = (await loyalty.call("show_order_import", import_id=ended["id"])).json()
    assert shown == ended


async def test_an_imported_order_earns_no_points_and_no_growth(loyalty: ServiceUnderTest) -> None:
    await imported(loyalty, ndjson([line(1, paid_fen=10_000_000)]))

    wallet = await wallet_of(loyalty, await _owner(loyalty, "H-1"))

    assert wallet["points"]["pending"] == wallet["points"]["available"] == 0
    assert (wallet["tier"]["code"], wallet["tier"]["growth"]) == ("regular", 0)
    assert await events(loyalty, "points.earned.v1", "order.paid.v1", "member.enrolled.v1") == []


async def test_events_tell_of_members_and_orders_in_batches(loyalty: ServiceUnderTest) -> None:
    lines = [line(n, identity_value=f"customer-{n % 300}") for n in range(1100)]

    ended = await imported(loyalty, ndjson(lines))

    told = await loyalty.rows("select type, subject, data from outbox order by id")
    assert {row.subject for row in told} == {ended["id"]}
    orders = [row.data["orders"] for row in told if row.type == "orders.imported.v1"]
    members = [row.data["member_ids"] for row in told if row.type == "members.imported.v1"]
    assert [len(one) for one in orders] == [500, 500, 100]
    assert [order["order_id"] for batch in orders for order in batch] == [
        one["order_id"] for one in lines
    ]
    assert [len(one) for one in members] == [300]
    known = {row.id for row in await loyalty.rows("select id from members")}
    assert {order["member_id"] for batch in orders for order in batch} == known == set(members[0])


async def test_progress_is_told_line_by_line_while_the_file_arrives(
    loyalty: ServiceUnderTest,
) -> None:
    reply = await upload(loyalty, ndjson([line(n) for n in range(1600)]))

    told = states(reply)
    assert counts(told[0])["lines"] == 0
    assert [one["state"] for one in told] == ["receiving"] * (len(told) - 1) + ["done"]
    assert [one["lines"] for one in told] == sorted(one["lines"] for one in told)
    assert {500, 1000, 1500} <= {one["lines"] for one in told}
    assert len({one["id"] for one in told}) == 1


async def test_csv_with_a_byte_order_mark_and_windows_line_ends_is_taken(
    loyalty: ServiceUnderTest,
) -> None:
    content = (
        b"\xef\xbb\xbforder_id,identity_kind,identity_value,paid_fen,refunded_fen,paid_at\r\n"
        b"H-1,phone,13800138000,9900,,2025-06-18T20:00:00+08:00\r\n"
        b"\r\n"
        b'H-2,phone,"+86 138 0013 8000",9900,9900,2025-06-18T20:00:00+08:00'
    )

    ended = await imported(loyalty, content, media_type="text/csv; charset=utf-8")

    assert counts(ended) == {"lines": 2, "orders": 2, "repeated": 0, "refused": 0, "members": 1}
    rows = await loyalty.rows("select order_id, state, refunded_fen from orders order by 1")
    assert [tuple(row) for row in rows] == [("H-1", "completed", 0), ("H-2", "refunded", 9900)]
    member = await loyalty.call("show_member", member_id=await _owner(loyalty, "H-1"))
    assert member.json()["phone_masked"] == "138****8000"


async def test_refused_lines_are_listed_and_the_others_taken(loyalty: ServiceUnderTest) -> None:
    content = b"".join(
        [
            ndjson([line(1)]),
            b'{"order_id":"H-2"',
            b"\n\xff\xfe\n",
            b'"' + b"x" * 70_000 + b'"\n',
            ndjson([line(5, paid_fen=-1), line(6)]),
        ]
    )

    ended = await imported(loyalty, content)

    assert ended["state"] == "done"
    assert counts(ended) == {"lines": 6, "orders": 2, "repeated": 0, "refused": 4, "members": 1}
    assert await refusals(loyalty, ended["id"]) == [
        (2, "malformed_line", None),
        (3, "not_utf8", None),
        (4, "line_too_long", None),
        (5, "invalid", "/paid_fen"),
    ]


async def test_refused_lines_come_page_by_page_with_a_reason_for_people(
    loyalty: ServiceUnderTest,
) -> None:
    ended = await imported(loyalty, ndjson([line(n, colour="red") for n in range(5)]))

    seen: list[int] = []
    cursor = None
    for _ in range(3):
        page = await loyalty.call(
            "list_order_import_refusals",
            import_id=ended["id"],
            params={"limit": 2, **({"cursor": cursor} if cursor else {})},
            headers={"Accept-Language": "en"},
        )
        seen += [one["line"] for one in page.json()["data"]]
        assert page.json()["data"][0]["detail"] == "is not a known field"
        cursor = page.json()["next_cursor"]

    assert (seen, cursor) == ([1, 2, 3, 4, 5], None)


@pytest.mark.parametrize("at", [-1, 2**31, 2**40])
async def test_a_cursor_beyond_all_lines_is_refused(loyalty: ServiceUnderTest, at: int) -> None:
    ended = await imported(loyalty, ndjson([{"order_id": ""}]))
    reply = await loyalty.call(
        "list_order_import_refusals",
        import_id=ended["id"],
        params={"cursor": encode_cursor(at)},
    )
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_cursor")


async def test_nothing_of_a_refused_line_is_kept(loyalty: ServiceUnderTest) -> None:
    canary = "13912345678"
    lines: list[dict[str, Any]] = [
        line(1, identity_kind="phone", identity_value=canary + "0"),
        line(2, nickname=canary),
        line(3, order_id=f"+{canary}"),
    ]

    ended = await imported(loyalty, ndjson([*lines, {canary: 1}]))

    listed = await loyalty.call("list_order_import_refusals", import_id=ended["id"])
    assert ended["refused"] == 4
    assert canary not in listed.text
    kept = await loyalty.rows("select row_to_json(r)::text as row from import_refusals r")
    assert not any(canary in row.row for row in kept)


async def test_an_order_id_counts_once_in_a_file_and_across_files(
    loyalty: ServiceUnderTest,
) -> None:
    first = await imported(loyalty, ndjson([line(1), line(1), line(2), line(1, paid_fen=1)]))
    again = await imported(loyalty, ndjson([line(2), line(3), line(1, refunded_fen=1)]))

    assert counts(first) == {"lines": 4, "orders": 2, "repeated": 1, "refused": 1, "members": 1}
    assert await refusals(loyalty, first["id"]) == [(4, "recorded_differently", "/order_id")]
    assert counts(again) == {"lines": 3, "orders": 1, "repeated": 1, "refused": 1, "members": 0}
    assert await refusals(loyalty, again["id"]) == [(3, "recorded_differently", "/order_id")]
    assert await loyalty.scalar("select count(*) from orders") == 3


async def test_an_imported_order_id_cannot_be_reported_again_and_earn(
    loyalty: ServiceUnderTest,
) -> None:
    await imported(loyalty, ndjson([line(1)]))
    member_id = await _owner(loyalty, "H-1")

    reported = await loyalty.call(
        "record_order",
        json=order_of(
            member_id, paid_fen=9900, order_id="H-1", paid_at="2025-06-18T20:00:00+08:00"
        ),
    )

    assert (reported.status_code, reported.json()["code"]) == (409, "already_recorded_differently")
    assert (await wallet_of(loyalty, member_id))["points"]["pending"] == 0


async def test_an_order_that_was_reported_counts_as_repeated(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    order = order_of(member_id, paid_fen=9900, order_id="H-1")
    assert (await loyalty.call("record_order", json=order)).status_code == 201
    told = line(1, identity_value=None, member_id=member_id, paid_at=order["paid_at"])

    same = await imported(loyalty, ndjson([told]))
    other = await imported(loyalty, ndjson([told | {"paid_fen": 9901}]))

    assert (same["repeated"], other["refused"]) == (1, 1)
    assert (await wallet_of(loyalty, member_id))["points"]["pending"] == 99


async def test_a_refund_that_came_before_the_imported_order_counts(
    loyalty: ServiceUnderTest,
) -> None:
    refunded = await loyalty.call(
        "refund_order",
        order_id="H-1",
        json={
            "refund_id": "RF-1",
            "amount_fen": 9900,
            "refunded_at": "2025-06-19T20:00:00+08:00",
        },
    )
    assert refunded.status_code == 201

    ended = await imported(loyalty, ndjson([line(1, refunded_fen=100), line(2)]))
    again = await imported(loyalty, ndjson([line(1, refunded_fen=100)]))

    assert (ended["orders"], again["repeated"]) == (2, 1)
    rows = await loyalty.rows("select order_id, state, refunded_fen from orders order by 1")
    assert [tuple(row) for row in rows] == [("H-1", "refunded", 9900), ("H-2", "completed", 0)]
    (told,) = await events(loyalty, "order.refunded.v1")
    assert (told["amount_fen"], told["in_full"]) == (9800, True)
    assert await loyalty.scalar("select count(*) from refunds where applied_at is null") == 0


async def test_a_refund_of_an_imported_order_takes_no_points(loyalty: ServiceUnderTest) -> None:
    await imported(loyalty, ndjson([line(1)]))

    refunded = await loyalty.call(
        "refund_order",
        order_id="H-1",
        json={
            "refund_id": "RF-1",
            "amount_fen": 9900,
            "refunded_at": "2026-06-19T20:00:00+08:00",
        },
    )

    assert refunded.status_code == 201
    wallet = await wallet_of(loyalty, await _owner(loyalty, "H-1"))
    assert wallet["points"]["debt"] == 0
    assert wallet["tier"]["growth"] == 0


async def test_orders_of_a_merged_member_go_to_the_one_who_lives_on(
    loyalty: ServiceUnderTest,
) -> None:
    merged, survivor, erased = [await enrol(loyalty) for _ in range(3)]
    changes = [
        (merged, "update members set state = 'merged', merged_into = :into where id = :id"),
        (erased, "update members set state = 'erased' where id = :id and :into <> ''"),
    ]
    async with loyalty.database.begin(actor="test") as transaction:
        for member_id, statement in changes:
            parameters = {"id": member_id, "into": survivor}
            await execute(transaction.session, text(statement), parameters)
    nobody = "mem_00000000000000000000000000"
    lines = [
        line(number, identity_value=None, member_id=member_id)
        for number, member_id in enumerate([merged, erased, nobody], start=1)
    ]

    ended = await imported(loyalty, ndjson(lines))

    assert await _owner(loyalty, "H-1") == survivor
    assert await refusals(loyalty, ended["id"]) == [
        (2, "member_erased", "/member_id"),
        (3, "member_unknown", "/member_id"),
    ]


async def test_what_cannot_be_a_file_is_refused_before_anything_happens(
    loyalty: ServiceUnderTest,
) -> None:
    as_json = await upload(loyalty, b"{}", media_type="application/json")
    without_key = await loyalty.call(
        "import_orders", content=b"", key=None, headers={"Content-Type": "text/csv"}
    )

    assert (as_json.status_code, as_json.json()["code"]) == (415, "unsupported_media_type")
    assert (without_key.status_code, without_key.json()["code"]) == (400, "idempotency_key_missing")
    assert await loyalty.scalar("select count(*) from imports") == 0


async def test_a_csv_file_without_the_columns_fails_as_a_whole(loyalty: ServiceUnderTest) -> None:
    ended = await imported(loyalty, b"a,b\n1,2\n", media_type="text/csv")

    assert (ended["state"], ended["error"]) == ("failed", "csv_header_invalid")
    assert ended["lines"] == 0


async def test_an_unknown_import_is_not_found(loyalty: ServiceUnderTest) -> None:
    nowhere = "imp_00000000000000000000000000"

    shown = await loyalty.call("show_order_import", import_id=nowhere)
    listed = await loyalty.call("list_order_import_refusals", import_id=nowhere)

    assert (shown.status_code, listed.status_code) == (404, 404)


async def test_an_import_and_enrolments_at_once_give_one_member_per_identity(
    loyalty: ServiceUnderTest,
) -> None:
    people = [f"customer-{n}" for n in range(40)]
    history = ndjson([line(n, identity_value=who) for n, who in enumerate(people)])

    async def join(who: str) -> int:
        identities = [{"kind": "external", "value": who}]
        reply = await insist(loyalty, "enrol_member", json={"identities": identities})
        return reply.status_code

    ended, other, *joined = await asyncio.gather(
        imported(loyalty, history), imported(loyalty, history), *(join(who) for who in people)
    )

    assert ended["orders"] + other["orders"] == 40
    assert ended["repeated"] + other["repeated"] == 40
    assert set(joined) <= {200, 201}
    assert ended["members"] + other["members"] + joined.count(201) == 40
    assert await loyalty.scalar("select count(*) from members") == 40
    assert await loyalty.scalar("select count(*) from accounts") == 40


async def test_of_many_refused_lines_all_are_counted_and_the_first_are_kept(
    loyalty: ServiceUnderTest,
) -> None:
    ended = await imported(loyalty, b'{"order_id":"H-1"}\n' * 12_000)

    assert (ended["lines"], ended["refused"]) == (12_000, 12_000)
    assert await loyalty.scalar("select count(*) from import_refusals") == 10_000
    assert await loyalty.scalar("select max(line) from import_refusals") == 10_000


async def test_an_order_that_was_reported_as_of_another_moment_is_refused(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    order = order_of(member_id, paid_fen=9900, order_id="H-1")
    assert (await loyalty.call("record_order", json=order)).status_code == 201
    told = line(1, identity_value=None, member_id=member_id)
    ended = await imported(loyalty, ndjson([told]))
    assert await refusals(loyalty, ended["id"]) == [(1, "recorded_differently", "/order_id")]
