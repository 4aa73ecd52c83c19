"""Members through the service's door: enrolled once, changed at their wish, never given away."""

import io
import logging
import sys
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from structlog._config import BoundLoggerLazyProxy

from services.loyalty.domain.members import GivenIdentity
from services.loyalty.store.vault import Vault
from shared.http.tokens import Principal
from tests.integration.loyalty.people import (
    enrol,
    everything,
    order_of,
    types_of_events,
    wallet_of,
)
from tests.integration.loyalty.racing import race
from tests.support.service import ServiceUnderTest, Starter, signer_of

PHONE = {"kind": "phone", "value": "13800138000"}
USER = {"kind": "external", "value": "user-10086"}
OPENID = {"kind": "wechat_openid", "value": "oABCDEF_canary_openid-01", "app_id": "wx1"}


IDENTITIES = "lock table identities in exclusive mode"


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def enrolled(loyalty: ServiceUnderTest, *identities: Any, **fields: Any) -> Any:
    return await loyalty.call("enrol_member", json={"identities": list(identities), **fields})


async def test_a_newcomer_gets_an_account_in_the_lowest_tier(loyalty: ServiceUnderTest) -> None:
    reply = await enrolled(
        loyalty,
        PHONE,
        USER,
        nickname="小红",
        birthday="02-29",
        gender="female",
        city="杭州",
        tags=["敏感肌"],
        consents={"personalised_marketing": True},
        referral_code="ABCD-EFGH",
        device_id="device-7f3a",
    )

    assert reply.status_code == 201
    member = reply.json()
    assert member == {
        "id": member["id"],
        "state": "active",
        "merged_into": None,
        "nickname": "小红",
        "phone_masked": "138****8000",
        "birthday": "02-29",
        "gender": "female",
        "city": "杭州",
        "tags": ["敏感肌"],
        "consents": {"personalised_marketing": {"granted": True, "at": "2026-11-23T04:00:00Z"}},
        "identities": [
            {"kind": "external", "app_id": None},
            {"kind": "phone", "app_id": None},
        ],
        "tier": {"code": "regular", "name": "普通会员"},
        "created_at": "2026-11-23T04:00:00Z",
        "updated_at": "2026-11-23T04:00:00Z",
    }
    assert (await loyalty.call("show_member", member_id=member["id"])).json() == member
    (event,) = await loyalty.rows("select type, subject, data::text as data from outbox")
    assert (event.type, event.subject) == ("member.enrolled.v1", member["id"])
    assert '"referral_code": "ABCD-EFGH"' in event.data
    assert '"device_id": "device-7f3a"' in event.data


async def test_whoever_is_known_by_one_identity_is_that_member_and_gains_the_others(
    loyalty: ServiceUnderTest,
) -> None:
    first = (await enrolled(loyalty, USER, nickname="小红")).json()

    again = await enrolled(loyalty, PHONE, USER, nickname="别人", referral_code="X")

    assert again.status_code == 200
    assert (again.json()["id"], again.json()["nickname"]) == (first["id"], "小红")
    assert again.json()["phone_masked"] == "138****8000"
    by_phone = await enrolled(loyalty, {"kind": "phone", "value": "+86 138 0013 8000"})
    assert (by_phone.status_code, by_phone.json()["id"]) == (200, first["id"])
    assert await types_of_events(loyalty) == ["member.enrolled.v1"]


async def test_identities_of_two_members_are_refused_and_nothing_changes(
    loyalty: ServiceUnderTest,
) -> None:
    await enrolled(loyalty, USER)
    await enrolled(loyalty, PHONE)
    before = await everything(loyalty)

    reply = await enrolled(loyalty, USER, PHONE, OPENID)

    assert (reply.status_code, reply.json()["code"]) == (409, "identities_conflict")
    assert await everything(loyalty) == before


async def test_the_same_openid_of_another_app_is_another_person(
    loyalty: ServiceUnderTest,
) -> None:
    one = await enrolled(loyalty, OPENID)
    other = await enrolled(loyalty, {**OPENID, "app_id": "wx2"})
    assert (one.status_code, other.status_code) == (201, 201)
    assert one.json()["id"] != other.json()["id"]


async def test_50_enrolments_with_one_identity_at_once_make_one_member(
    loyalty: ServiceUnderTest,
) -> None:
    calls = [
        enrolled(loyalty, PHONE, {"kind": "external", "value": f"user-{number}"})
        for number in range(50)
    ]
    replies = await race(loyalty, *calls, at=IDENTITIES, meeting=10)

    assert sorted(reply.status_code for reply in replies) == [200] * 49 + [201]
    assert len({reply.json()["id"] for reply in replies}) == 1
    assert await loyalty.scalar("select count(*) from members") == 1
    assert await loyalty.scalar("select count(*) from accounts") == 1
    assert await loyalty.scalar("select count(*) from identities") == 51
    assert await types_of_events(loyalty) == ["member.enrolled.v1"]


async def test_enrolments_that_share_identities_crosswise_never_lock_in_a_ring(
    loyalty: ServiceUnderTest,
) -> None:
    pairs = [(PHONE, USER), (USER, PHONE)]
    calls = [enrolled(loyalty, *pairs[number % 2]) for number in range(30)]
    replies = await race(loyalty, *calls, at=IDENTITIES, meeting=10)
    assert sorted(reply.status_code for reply in replies) == [200] * 29 + [201]


async def test_an_enrolment_sent_again_with_its_key_gets_the_first_reply(
    loyalty: ServiceUnderTest,
) -> None:
    body = {"identities": [USER]}
    first = await loyalty.call("enrol_member", json=body, key="enrol-1")
    again = await loyalty.call("enrol_member", json=body, key="enrol-1")
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    keyless = await loyalty.call("enrol_member", json=body, key=None)
    assert keyless.status_code == 200


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"identities": []}, "/identities"),
        ({"identities": [{"kind": "phone", "value": "12345"}]}, "/identities/0/value"),
        ({"identities": [USER, {"kind": "email", "value": "a@b.c"}]}, "/identities/1/kind"),
        ({"identities": [{"kind": "wechat_openid", "value": "oABCDEF"}]}, "/identities/0/app_id"),
        ({"identities": [{**PHONE, "app_id": "wx1"}]}, "/identities/0/app_id"),
        ({"birthday": "02-30"}, "/birthday"),
        ({"nickname": "a\x00b"}, "/nickname"),
        ({"nickname": ""}, "/nickname"),
        ({"points": 100}, "/points"),
        ({"tier": "diamond"}, "/tier"),
        ({"consents": {"BAD": True}}, "/consents/BAD/[key]"),
        ({"gender": "x"}, "/gender"),
        ({"tags": [1]}, "/tags/0"),
    ],
)
async def test_an_enrolment_that_cannot_be_is_refused_at_the_field(
    loyalty: ServiceUnderTest, change: dict[str, Any], pointer: str
) -> None:
    reply = await loyalty.call("enrol_member", json={"identities": [USER], **change})
    assert reply.status_code == 422, reply.text
    assert [error["pointer"] for error in reply.json()["errors"]] == [pointer]
    assert "12345" not in reply.text
    assert await loyalty.scalar("select count(*) from members") == 0


async def test_a_profile_changes_in_the_fields_that_are_sent(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(
        loyalty, nickname="小红", city="杭州", consents={"sms": True, "wechat": True}
    )
    reply = await loyalty.call(
        "update_member_profile",
        member_id=member_id,
        json={"nickname": "小兰", "city": None, "tags": ["新客"], "consents": {"sms": False}},
    )
    member = reply.json()
    assert (member["nickname"], member["city"], member["tags"]) == ("小兰", None, ["新客"])
    assert {name: one["granted"] for name, one in member["consents"].items()} == {
        "sms": False,
        "wechat": True,
    }
    assert (await loyalty.call("show_member", member_id=member_id)).json() == member


async def test_a_profile_of_nobody_is_not_found(loyalty: ServiceUnderTest) -> None:
    unknown = "mem_" + "0" * 26
    reply = await loyalty.call(
        "update_member_profile", member_id=unknown, json={"nickname": "小兰"}
    )
    assert (reply.status_code, reply.json()["code"]) == (404, "member_not_found")
    assert (await loyalty.call("show_member", member_id=unknown)).status_code == 404
    assert (await loyalty.call("show_wallet", member_id=unknown)).status_code == 404


async def test_a_member_is_found_by_an_identity_however_it_is_written(
    loyalty: ServiceUnderTest,
) -> None:
    member = (await enrolled(loyalty, PHONE)).json()
    found = await loyalty.call(
        "find_members", params={"identity_kind": "phone", "identity_value": "138 0013 8000"}
    )
    assert found.json() == {"data": [member], "next_cursor": None}
    nobody = await loyalty.call(
        "find_members", params={"identity_kind": "phone", "identity_value": "13900139000"}
    )
    assert nobody.json() == {"data": [], "next_cursor": None}
    wrong = await loyalty.call(
        "find_members", params={"identity_kind": "phone", "identity_value": "1"}
    )
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["pointer"] == "?identity_value"


async def test_tier_names_come_in_the_callers_language(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    shown = await loyalty.call(
        "show_member", member_id=member_id, headers={"Accept-Language": "en"}
    )
    assert shown.json()["tier"] == {"code": "regular", "name": "Regular"}


async def test_a_merged_member_takes_no_orders_and_says_who_goes_on(
    loyalty: ServiceUnderTest,
) -> None:
    gone, survivor = await enrol(loyalty), await enrol(loyalty)
    async with loyalty.database.begin(actor="test") as transaction:
        connection = await transaction.session.connection()
        await connection.exec_driver_sql(
            f"update members set state = 'merged', merged_into = '{survivor}' where id = '{gone}'"
        )
    reply = await loyalty.call("record_order", json=order_of(gone, paid_fen=100))
    assert (reply.status_code, reply.json()["code"]) == (409, "member_merged")
    assert survivor in reply.json()["detail"]


async def test_neighbours_learn_whether_there_is_such_a_member(loyalty: ServiceUnderTest) -> None:
    member_id = await enrol(loyalty)
    token = signer_of("referral").token(
        audience="loyalty",
        operation="internal_show_member",
        principal=Principal(kind="service", id="referral"),
    )
    headers = {"Authorization": f"Bearer {token}"}
    found = await loyalty.http.get(f"/internal/members/{member_id}", headers=headers)
    assert found.json() == {"id": member_id, "state": "active"}
    unknown = await loyalty.http.get("/internal/members/mem_" + "0" * 26, headers=headers)
    assert unknown.status_code == 404


def forget_log_levels() -> None:
    """Loggers keep the level of their first use; let them take that of the next service."""
    for module in list(sys.modules.values()):
        logger = getattr(module, "_log", None)
        if isinstance(logger, BoundLoggerLazyProxy):
            vars(logger).pop("bind", None)


async def test_no_phone_or_openid_leaves_the_vault(
    start: Starter, capsys: pytest.CaptureFixture[str]
) -> None:
    forget_log_levels()
    loyalty = await start("loyalty", log_level="DEBUG")
    logged = io.StringIO()
    (handler,) = [h for h in logging.getLogger().handlers if type(h) is logging.StreamHandler]
    handler.setStream(logged)
    canaries = ("13800138000", "oABCDEF_canary_openid-01", "user-canary-10086", "payer-canary-1")
    body = {"identities": [PHONE, OPENID, {"kind": "external", "value": canaries[2]}]}
    member = await loyalty.call("enrol_member", json=body)
    member_id = member.json()["id"]
    answers = [
        member,
        await loyalty.call("enrol_member", json=body),
        await loyalty.call("enrol_member", json={"identities": [{**PHONE, "app_id": "wx"}]}),
        await loyalty.call(
            "enrol_member", json={"identities": [{"kind": "phone", "value": "138001380001"}]}
        ),
        await loyalty.call(
            "find_members", params={"identity_kind": "phone", "identity_value": canaries[0]}
        ),
        await loyalty.call("show_member", member_id=member_id),
        await loyalty.call(
            "record_order", json=order_of(member_id, paid_fen=100, payer_id=canaries[3])
        ),
        await loyalty.call("record_order", json={"payer_id": canaries[3], "items": canaries[0]}),
    ]
    await wallet_of(loyalty, member_id)

    lines_of_requests = capsys.readouterr().out
    seen = "\n".join(
        [
            *(answer.text for answer in answers),
            logged.getvalue(),
            lines_of_requests,
            str(await everything(loyalty)),
            str(await loyalty.rows("select body, key from idempotency_keys")),
        ]
    )
    forget_log_levels()
    assert '"operation":"record_order"' in lines_of_requests, "nothing was logged at all"
    for canary in canaries:
        assert canary not in seen


async def test_identities_are_kept_encrypted_and_bound_to_their_place(
    loyalty: ServiceUnderTest,
) -> None:
    await enrolled(loyalty, PHONE)
    vault: Vault = loyalty.app.state.vault
    (row,) = await loyalty.rows("select * from identities")
    identity = GivenIdentity(kind="phone", app_id="", value="+8613800138000")
    assert row.value_hash == vault.hash_identity(identity)
    assert vault.decrypt(row.value_encrypted, kind="phone", app_id="") == "+8613800138000"
    with pytest.raises(InvalidTag):
        vault.decrypt(row.value_encrypted, kind="external", app_id="")
    other = Vault(hash_key=b"x" * 32, encryption_key=b"y" * 32)
    assert other.hash_identity(identity) != row.value_hash
