"""What tests do with points beside spending them, and what must hold whatever they do."""

import json
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from sqlalchemy import text

from shared.http.tokens import Principal
from shared.sql import execute
from tests.support.service import MANAGER, ServiceUnderTest

#: Another person than MANAGER.
SECOND = Principal(kind="api_key", id="secondkey")
NOTHING = {"available": 0, "pending": 0, "held": 0, "debt": 0}


async def adjust(
    loyalty: ServiceUnderTest,
    member_id: str,
    points: object,
    *,
    principal: Principal = MANAGER,
    key: str = "new",
    reason: object = "补偿：包裹延误",
) -> httpx.Response:
    return await loyalty.call(
        "adjust_points",
        member_id=member_id,
        principal=principal,
        key=key,
        json={"points": points, "reason": reason},
    )


async def give(loyalty: ServiceUnderTest, member_id: str, points: int) -> None:
    """Give points that can be spent at once, 10,000 at most."""
    reply = await adjust(loyalty, member_id, points, principal=Principal(kind="api_key", id="gift"))
    assert reply.status_code == 201, reply.text


async def decide(
    loyalty: ServiceUnderTest,
    adjustment_id: str,
    decision: str,
    *,
    principal: Principal = SECOND,
    key: str = "new",
) -> httpx.Response:
    return await loyalty.call(
        "decide_adjustment",
        adjustment_id=adjustment_id,
        principal=principal,
        key=key,
        json={"decision": decision, "reason": "已核实"},
    )


async def hold(
    loyalty: ServiceUnderTest,
    member_id: str,
    points: int,
    *,
    reference: str = "G-1",
    key: str = "new",
    **more: object,
) -> httpx.Response:
    return await loyalty.call(
        "hold_points",
        member_id=member_id,
        key=key,
        json={"points": points, "purpose": "gift", "reference": reference, **more},
    )


async def held(loyalty: ServiceUnderTest, member_id: str, points: int, **more: Any) -> str:
    """Hold points and give the redemption's id."""
    reply = await hold(loyalty, member_id, points, **more)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["id"])


async def capture(
    loyalty: ServiceUnderTest, redemption_id: str, points: int | None = None, *, key: str = "new"
) -> httpx.Response:
    return await loyalty.call(
        "capture_hold",
        redemption_id=redemption_id,
        key=key,
        json=None if points is None else {"points": points},
    )


async def release(
    loyalty: ServiceUnderTest, redemption_id: str, *, key: str = "new"
) -> httpx.Response:
    return await loyalty.call("release_hold", redemption_id=redemption_id, key=key)


async def cancel(
    loyalty: ServiceUnderTest, redemption_id: str, *, key: str = "new", **given: object
) -> httpx.Response:
    return await loyalty.call(
        "cancel_redemption", redemption_id=redemption_id, key=key, json=given or None
    )


async def transfer(
    loyalty: ServiceUnderTest, sender: str, receiver: str, points: object, *, key: str = "new"
) -> httpx.Response:
    return await loyalty.call(
        "transfer_points",
        member_id=sender,
        key=key,
        json={"to_member_id": receiver, "points": points},
    )


async def insist(call: Callable[..., Awaitable[httpx.Response]]) -> httpx.Response:
    """Call with a key, and again with the same key while the service is too busy, as callers do."""
    key = uuid.uuid4().hex
    for _ in range(50):
        reply = await call(key=key)
        if reply.status_code != httpx.codes.SERVICE_UNAVAILABLE and not (
            reply.status_code == httpx.codes.CONFLICT
            and reply.json()["code"] == "idempotency_in_flight"
        ):
            return reply
    raise AssertionError(reply.text)


async def lots_of(loyalty: ServiceUnderTest, member_id: str) -> list[tuple[Any, ...]]:
    """A member's lots, oldest first: id, state, remaining, and when they lapse."""
    rows = await loyalty.rows(
        "select id, state, remaining, expires_at from point_lots where member_id = :member_id"
        " order by created_at, expires_at, id",
        member_id=member_id,
    )
    return [tuple(row) for row in rows]


async def publish(loyalty: ServiceUnderTest, **points: dict[str, Any]) -> None:
    """Put a programme into force whose rules of points differ, such as `transfer={…}`."""
    async with loyalty.database.begin(actor="test") as transaction:
        newest = "select rules from programme_versions order by version desc limit 1"
        rules = (await execute(transaction.session, text(newest), {})).scalar_one()
        for name, changes in points.items():
            rules["points"][name] = {**rules["points"].get(name, {}), **changes}
        insert = text(
            "insert into programme_versions (version, rules, published_by, published_at)"
            " select max(version) + 1, cast(:rules as jsonb), 'test', :now from programme_versions"
        )
        given = {"rules": json.dumps(rules), "now": transaction.now}
        await execute(transaction.session, insert, given)


async def set_state(
    loyalty: ServiceUnderTest, member_id: str, *, state: str, merged_into: str | None = None
) -> None:
    """Make somebody erased or merged, as far as the wallet can see."""
    async with loyalty.database.begin(actor="test") as transaction:
        connection = await transaction.session.connection()
        into = "null" if merged_into is None else f"'{merged_into}'"
        await connection.exec_driver_sql(
            f"update members set state = '{state}', merged_into = {into} where id = '{member_id}'"
        )


async def conserved(loyalty: ServiceUnderTest) -> None:
    """What all members have is what the programme gave, and what one sent another received."""
    sums: Counter[str] = Counter()
    for row in await loyalty.rows(
        "select debit_account, credit_account, sum(points)::bigint as points from point_entries"
        " group by 1, 2"
    ):
        sums[row.credit_account] += row.points
        sums[row.debit_account] -= row.points
    owned = await loyalty.scalar(
        "select coalesce(sum(available + pending + held - debt), 0)::bigint from accounts"
    )
    own = {"available", "pending", "held", "debt"}
    assert owned == -sum(points for name, points in sums.items() if name not in own)
    assert sums["transferred"] == 0
    kept = await loyalty.rows(
        "select state, sum(points - returned_points)::bigint as points from redemptions"
        " group by state"
    )
    by_state = {row.state: row.points for row in kept}
    assert by_state.get("held", 0) == sums["held"]
    assert by_state.get("redeemed", 0) == sums["redeemed"]
    assert {by_state.get("released", 0), by_state.get("cancelled", 0)} == {0}
