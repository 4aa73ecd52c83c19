"""A life in a sandbox that leaves much to fall due: the same each time it is told."""

from datetime import timedelta
from typing import Any

from services.loyalty.operations.imports import ImportTerms, open_import
from shared.kernel.clock import rfc3339
from tests.integration.test_clock.sandbox import Sandbox
from tests.support.service import ServiceUnderTest

#: What the history is told with: each step takes a minute of it.
STEP = timedelta(minutes=1)


async def tell(box: Sandbox) -> dict[str, str]:
    """小雅 brings 小波; both buy, one returns something, one leaves a basket and a hold behind.

    Gives the ids of both.
    """
    loyalty = box.loyalty
    xiaoya = (await _post(box, "enrol_member", json=_person("xiaoya")))["id"]
    await box.settle()
    code = (await box.referral.call("show_referral_code", member_id=xiaoya)).json()["code"]
    referee = {**_person("xiaobo"), "referral_code": code}
    xiaobo = (await _post(box, "enrol_member", json=referee))["id"]
    await box.settle()
    for member, order, fen in (
        (xiaobo, "SO-1", 39_900),
        (xiaoya, "SO-2", 120_000),
        (xiaoya, "SO-3", 9_900),
    ):
        await _buy(box, member, order, fen)
        await box.settle()
    for order in ("SO-1", "SO-2"):
        at = rfc3339(loyalty.database.clock.now())
        await _post(box, "complete_order", order_id=order, json={"completed_at": at})
    await _post(
        box,
        "refund_order",
        order_id="SO-2",
        json={
            "refund_id": "RF-1",
            "amount_fen": 20_000,
            "refunded_at": rfc3339(loyalty.database.clock.now()),
        },
    )
    await _issue_and_reserve(box, xiaoya)
    await _hold_and_forget(box, xiaoya)
    await _break_off_an_upload(box)
    await box.settle()
    return {"xiaoya": xiaoya, "xiaobo": xiaobo}


async def _issue_and_reserve(box: Sandbox, member: str) -> None:
    """Vouchers for ninety days, and one for a day that a forgotten basket holds."""
    for days in (90, 1):
        terms = {
            "name": f"满199减50，{days}天",
            "kind": "amount_off",
            "amount_fen": 5_000,
            "threshold_fen": 19_900,
            "validity_days": days,
        }
        template = (await _post(box, "create_voucher_template", json=terms))["id"]
        issued = await _post(
            box, "issue_vouchers", template_id=template, json={"member_ids": [member]}
        )
    basket = [{"sku": "TEA-250", "quantity": 1, "amount_fen": 29_900}]
    chosen = [issued["vouchers"][0]["id"]]
    body = {"member_id": member, "items": basket, "voucher_ids": chosen}
    await _post(box, "reserve_checkout", json=body)


async def _hold_and_forget(box: Sandbox, member: str) -> None:
    """Points that an operator gave, of which some are held for something that never comes."""
    given = {"points": 500, "reason": "补偿：包裹延误"}
    await _post(box, "adjust_points", member_id=member, json=given)
    held = {"points": 100, "purpose": "gift", "reference": "G-7", "minutes": 40}
    await _post(box, "hold_points", member_id=member, json=held)


async def _break_off_an_upload(box: Sandbox) -> None:
    await box.loyalty.database.run(
        lambda transaction: open_import(
            transaction, key="history", media_type="text/csv", terms=ImportTerms(kind="orders")
        ),
        actor="api_key:managerk",
    )


async def _buy(box: Sandbox, member: str, order: str, fen: int) -> None:
    body = {
        "order_id": order,
        "member_id": member,
        "paid_fen": fen,
        "items": [{"sku": "TEA-250", "quantity": 1, "paid_fen": fen}],
        "paid_at": rfc3339(box.loyalty.database.clock.now()),
    }
    await _post(box, "record_order", json=body)


async def _post(box: Sandbox, operation: str, **sent: Any) -> Any:
    box.machine.advance(STEP)
    service: ServiceUnderTest = box.loyalty
    reply = await service.call(operation, **sent)
    assert reply.is_success, reply.text
    return reply.json()


def _person(name: str) -> dict[str, Any]:
    return {"identities": [{"kind": "external", "value": name}], "nickname": name}
