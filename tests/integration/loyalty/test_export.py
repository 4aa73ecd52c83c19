"""The export: everything on record about one person, in one document."""

import re

import pytest

from services.loyalty.api.export import MemberExportReply
from services.loyalty.domain.export import ROWS_MAX
from services.loyalty.store.export_sections import SECTIONS, WITHHELD
from services.loyalty.store.tables import metadata
from tests.integration.loyalty.members_world import (
    bought,
    export,
    known_as,
    merge,
    reserve,
)
from tests.integration.loyalty.people import enrol, redeem, refund
from tests.integration.loyalty.vouchers_world import hear, reward_due
from tests.support.service import ServiceUnderTest, Starter

PHONE = {"kind": "phone", "value": "13800138000"}
OPENID = {"kind": "wechat_openid", "app_id": "wx1", "value": "oABCDEF_01"}


#: What this person has none of; that all columns are there is checked for every table below.
SEEN_ELSEWHERE = {
    "imported_movements",
    "expiry_notices",
    "expiry_notice_lots",
    "expiry_notice_failures",
    "expiry_extensions",
}


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def test_everything_about_a_person_is_in_it_and_nothing_about_another(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await known_as(loyalty, PHONE, OPENID, nickname="小红", consents={"sms": True})
    twin, other = await enrol(loyalty), await enrol(loyalty)
    order_id = await bought(loyalty, member_id, points=1_500, ready=True)
    await bought(loyalty, other, points=77)
    await refund(loyalty, order_id, amount_fen=10_000)
    await redeem(loyalty, member_id, points=100)
    await hear(loyalty, reward_due(member_id=member_id))
    await merge(loyalty, member_id, twin)
    await reserve(loyalty, member_id, points=200)
    called_off = await bought(loyalty, member_id, points=40)
    moment = {"cancelled_at": "2026-11-23T12:00:00+08:00", "reason": "不想要了"}
    await loyalty.call("cancel_order", order_id=called_off, json=moment)
    given = {"points": 5, "reason": "补偿"}
    await loyalty.call("adjust_points", member_id=member_id, json=given)
    sent = {"to_member_id": other, "points": 3}
    await loyalty.call("transfer_points", member_id=member_id, json=sent)

    document = await export(loyalty, member_id)

    MemberExportReply.model_validate(document)
    assert document["schema_version"] == 1
    assert document["exported_at"] == "2026-11-30T04:00:00Z"
    assert document["member_ids"] == sorted([member_id, twin])
    filled = {name for name in SECTIONS if document[name]}
    assert filled == SECTIONS.keys() - SEEN_ELSEWHERE, "a section without rows proves nothing"
    values = [(one["kind"], one["app_id"], one["value"]) for one in document["identities"]]
    assert ("phone", None, "+8613800138000") in values
    assert ("wechat_openid", "wx1", "oABCDEF_01") in values
    order = next(one for one in document["orders"] if one["order_id"] == order_id)
    assert order["items"][0]["sku"] == "SERUM-30ML"
    assert {row["member_id"] for name in SECTIONS for row in document[name]} <= {member_id, twin}
    for name, section in SECTIONS.items():
        count = await loyalty.scalar(
            f"select count(*) from {section.table} where {section.whose}",
            member_ids=[member_id, twin],
        )
        assert len(document[name]) == count


async def test_there_is_no_export_of_one_who_lives_on_in_another(
    loyalty: ServiceUnderTest,
) -> None:
    target, source = await enrol(loyalty), await enrol(loyalty)
    await merge(loyalty, target, source)
    reply = await loyalty.call("export_member", member_id=source)
    assert (reply.status_code, reply.json()["code"]) == (409, "member_merged")
    nobody = await loyalty.call("export_member", member_id="mem_" + "0" * 26)
    assert (nobody.status_code, nobody.json()["code"]) == (404, "member_not_found")


def test_the_document_is_described_with_all_its_parts() -> None:
    about = {"schema_version", "exported_at", "member_id", "member_ids"}
    assert [*MemberExportReply.model_fields][4:] == [*SECTIONS]
    assert {*MemberExportReply.model_fields} - {*SECTIONS} == about


def test_every_table_of_a_member_has_its_place_in_the_export() -> None:
    keyed = {table.name for table in metadata.sorted_tables if "member_id" in table.columns}
    shown = [section.table for section in SECTIONS.values()]
    assert {*shown, *WITHHELD} == keyed | {"members"}
    assert len(shown) == len(set(shown))


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_every_column_is_shown_or_said_to_be_withheld(name: str) -> None:
    section = SECTIONS[name]
    columns = set(metadata.tables[section.table].columns.keys())
    shown = {one.strip() for one in section.shown.split(",")}
    plain = {one for one in shown if re.fullmatch(r"[a-z_]+", one)}
    assert columns == plain | set(section.withheld)


async def test_more_than_one_document_holds_is_refused_and_not_cut(
    loyalty: ServiceUnderTest,
) -> None:
    member_id = await enrol(loyalty)
    async with loyalty.database.begin(actor="test") as transaction:
        connection = await transaction.session.connection()
        await connection.exec_driver_sql(
            "insert into growth_entries (member_id, cause_kind, cause_id, growth,"
            f" programme_version, occurred_at) select '{member_id}', 'activity', n::text, 0, 1,"
            f" '2026-11-23T04:00:00Z' from generate_series(1, {ROWS_MAX}) as n"
        )
    reply = await loyalty.call("export_member", member_id=member_id)
    assert (reply.status_code, reply.json()["code"]) == (409, "export_too_large")
    assert "50000" in reply.json()["detail"].replace(",", "")
