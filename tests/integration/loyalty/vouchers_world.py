"""Members, templates and rewards for the tests of vouchers."""

import itertools
from typing import Any
from uuid import uuid4

import httpx

from services.loyalty.subscribers import FROM_REFERRAL
from shared.contracts.envelope import CloudEvent, EventData
from shared.contracts.referral import RewardDue, RewardReversalDue
from shared.kernel.ids import new_id
from tests.support.service import NOON, ServiceUnderTest

_positions = itertools.count(1)

FIFTY_OFF_199 = {
    "name": "满199减50",
    "kind": "amount_off",
    "amount_fen": 5000,
    "threshold_fen": 19900,
    "validity_days": 30,
}


async def members(loyalty: ServiceUnderTest, count: int) -> list[str]:
    """Enrol some members; the ids."""
    return [await member(loyalty) for _ in range(count)]


async def member(loyalty: ServiceUnderTest) -> str:
    """Enrol a member; the id."""
    identities = [{"kind": "external", "value": f"customer-{uuid4().hex}"}]
    enrolled = await loyalty.call("enrol_member", json={"identities": identities})
    assert enrolled.status_code == 201, enrolled.text
    member_id: str = enrolled.json()["id"]
    return member_id


async def template(loyalty: ServiceUnderTest, **terms: Any) -> str:
    """Make a template, 满199减50 but for the given terms; the id."""
    made = await loyalty.call("create_voucher_template", json={**FIFTY_OFF_199, **terms})
    assert made.status_code == 201, made.text
    template_id: str = made.json()["id"]
    return template_id


async def voucher(loyalty: ServiceUnderTest, **terms: Any) -> str:
    """A voucher in the wallet of a new member; the id."""
    issued = await loyalty.call(
        "issue_vouchers",
        template_id=await template(loyalty, **terms),
        json={"member_ids": [await member(loyalty)]},
    )
    assert issued.status_code == 201, issued.text
    voucher_id: str = issued.json()["vouchers"][0]["id"]
    return voucher_id


async def insist(loyalty: ServiceUnderTest, operation_id: str, **sent: Any) -> httpx.Response:
    """Call, and again with the same key while the service says that it is too busy just now."""
    sent = {"key": uuid4().hex, **sent}
    while True:
        reply = await loyalty.call(operation_id, **sent)
        busy = reply.status_code == 409 and reply.json()["code"] == "idempotency_in_flight"
        if reply.status_code != 503 and not busy:
            return reply


def reward_due(*, member_id: str, reward_id: str = "rwd_1", amount_fen: int = 2000) -> RewardDue:
    """Referral's wish for a reward's voucher."""
    return RewardDue(
        reward_id=reward_id,
        referral_id="ref_1",
        stage="enrolled",
        role="referee",
        beneficiary_id=member_id,
        amount_fen=amount_fen,
        threshold_fen=9900,
        validity_days=30,
    )


def reversal_due(*, member_id: str, reward_id: str = "rwd_1") -> RewardReversalDue:
    """Referral's wish to take it back."""
    return RewardReversalDue(
        reward_id=reward_id, referral_id="ref_1", beneficiary_id=member_id, reason="order_refunded"
    )


async def hear(loyalty: ServiceUnderTest, *facts: EventData) -> None:
    """Apply referral's events as the subscriber does, all in one transaction."""
    async with loyalty.database.begin(actor="event:referral") as transaction:
        for data in facts:
            await FROM_REFERRAL[data.type](transaction, _event(data))


async def events(loyalty: ServiceUnderTest, *types: str) -> list[dict[str, Any]]:
    """The data of what loyalty has published of these types, in order."""
    found = await loyalty.rows(
        "select data from outbox where type = any(:types) order by id", types=list(types)
    )
    return [row.data for row in found]


def _event(data: EventData) -> CloudEvent:
    return CloudEvent(
        id=uuid4(),
        source="/huitou/referral",
        type=data.type,
        subject=new_id("ref", at=NOON),
        time=NOON,
        pos=next(_positions),
        subjectversion=1,
        epoch=uuid4(),
        data=data.model_dump(mode="json"),
    )
