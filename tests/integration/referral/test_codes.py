"""A member's code: made on first use, one for ever, and only for members there are."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.referral.domain.codes import normalised
from shared.contracts.loyalty import OrderPaid
from tests.integration.referral.loyalty_played import (
    Circle,
    PlayedLoyalty,
    enrolled,
    member_id,
    paid,
)
from tests.support.service import Starter
from tests.support.serving import serving

NOBODY = "mem_00000000000000000000000000"


@asynccontextmanager
async def loyalty_with(states: dict[str, str]) -> AsyncIterator[str]:
    """Loyalty's internal door, knowing some members by their states; says where it is."""

    async def show(request: Request) -> Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, options={"verify_signature": False})
        assert (claims["aud"], claims["op"]) == ("loyalty", "internal_show_member")
        member = request.path_params["member_id"]
        if member not in states:
            return Response(status_code=404)
        if states[member] == "broken":
            return Response(status_code=500)
        return JSONResponse({"id": member, "state": states[member]})

    async with serving(Starlette(routes=[Route("/internal/members/{member_id}", show)])) as url:
        yield url


async def test_a_code_comes_in_all_forms_in_which_it_is_shared(circle: Circle) -> None:
    reply = await circle.referral.call("show_referral_code", member_id=circle.referrer)
    code = reply.json()["code"]
    assert reply.json() == {
        "code": code,
        "scene": f"r={code}",
        "link": f"https://shop.example.com/?referral_code={code}",
    }
    assert normalised(code) == code


async def test_a_code_stays_the_same(circle: Circle) -> None:
    again = await circle.referral.call("show_referral_code", member_id=circle.referrer)
    assert again.json()["code"] == circle.code


async def test_a_channel_has_a_code_of_its_own(circle: Circle) -> None:
    for channel in ("wechat_moments", "parcel_card"):
        params = {"channel": channel}
        first, second = [
            await circle.referral.call(
                "show_referral_code", member_id=circle.referrer, params=params
            )
            for _ in range(2)
        ]
        assert first.json()["code"] == second.json()["code"] != circle.code


async def test_a_channel_is_a_plain_name(circle: Circle) -> None:
    for wrong in ("", "A", "a b", "a" * 33, "朋友圈", "a\x00"):
        reply = await circle.referral.call(
            "show_referral_code", member_id=circle.referrer, params={"channel": wrong}
        )
        assert (reply.status_code, reply.json()["code"]) == (422, "validation_failed")


async def test_a_newcomer_who_gives_a_channels_code_is_the_owners(circle: Circle) -> None:
    reply = await circle.referral.call(
        "show_referral_code", member_id=circle.referrer, params={"channel": "parcel_card"}
    )
    await circle.tell(enrolled(circle.referee, code=reply.json()["code"]))
    assert (await circle.of_referee())["referrer"] == circle.referrer


async def test_twenty_first_uses_at_once_give_one_code(start: Starter) -> None:
    referral = await start("referral")
    member = member_id()
    await PlayedLoyalty(referral=referral).tell(enrolled(member))
    replies = await asyncio.gather(
        *(referral.call("show_referral_code", member_id=member) for _ in range(20))
    )
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.json()["code"] for reply in replies}) == 1
    assert await referral.scalar("select count(*) from referral_codes") == 1


async def test_a_member_not_heard_of_yet_is_asked_for_in_loyalty(start: Starter) -> None:
    member = member_id()
    async with loyalty_with({member: "active"}) as url:
        referral = await start("referral", loyalty_url=url)
        reply = await referral.call("show_referral_code", member_id=member)
        assert reply.status_code == 200
        listed = await referral.call("list_member_referrals", member_id=member)
        assert listed.json() == {"data": [], "next_cursor": None}


async def test_who_is_no_member_gets_no_code(start: Starter) -> None:
    erased, merged = member_id(), member_id()
    async with loyalty_with({erased: "erased", merged: "merged"}) as url:
        referral = await start("referral", loyalty_url=url)
        for nobody in (NOBODY, erased, merged):
            for operation in ("show_referral_code", "list_member_referrals"):
                reply = await referral.call(operation, member_id=nobody)
                assert (reply.status_code, reply.json()["code"]) == (404, "not_found")
        assert await referral.scalar("select count(*) from referral_codes") == 0


async def test_an_order_alone_makes_nobody_a_member(start: Starter) -> None:
    member = member_id()
    async with loyalty_with({}) as url:
        referral = await start("referral", loyalty_url=url)
        order: OrderPaid = paid(member, "SO-1")
        await PlayedLoyalty(referral=referral).tell(order)
        reply = await referral.call("show_referral_code", member_id=member)
        assert reply.status_code == 404


async def test_with_loyalty_away_or_broken_it_is_said_so(start: Starter) -> None:
    away = await start("referral", loyalty_url="http://127.0.0.1:9")
    async with loyalty_with({NOBODY: "broken"}) as url:
        broken = await start("referral", loyalty_url=url)
        for referral in (away, broken):
            for operation in ("show_referral_code", "list_member_referrals"):
                reply = await referral.call(operation, member_id=NOBODY)
                assert reply.status_code == 503
                assert reply.json()["code"] == "temporarily_unavailable"
                assert "retry-after" in reply.headers


async def test_a_known_member_needs_no_loyalty(circle: Circle) -> None:
    listed = await circle.referral.call("list_member_referrals", member_id=circle.referrer)
    assert listed.json() == {"data": [], "next_cursor": None}


async def test_what_names_no_member_is_not_found(circle: Circle) -> None:
    for wrong in ("mem_x", "ref_00000000000000000000000000", base64.b16encode(b"x").decode()):
        reply = await circle.referral.call("show_referral_code", member_id=wrong)
        assert (reply.status_code, reply.json()["code"]) == (404, "not_found")
