"""The plain version's application: `uvicorn bench.plain_orm.main:app`.

BENCH_DATABASE_URL says where its database is. It asks for no token, which is in its favour.
"""

import hashlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bench.plain_orm.refunds import take_back
from bench.plain_orm.shapes import (
    IdempotencyKey,
    LotPart,
    OrderIn,
    OrderOut,
    RedemptionIn,
    RedemptionOut,
    RefundIn,
    RefundOut,
)
from bench.plain_orm.work import ACTOR, add_entry, add_event, locked_account, programme_in_force
from services.loyalty.store.tables import GrowthEntry, Order, PointLot, Redemption, Refund
from shared.kernel.ids import new_id
from shared.settings import async_url

app = FastAPI()
engine = create_async_engine(async_url(os.environ["BENCH_DATABASE_URL"]))


async def open_session() -> AsyncIterator[AsyncSession]:
    """One session per request."""
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session


Session = Annotated[AsyncSession, Depends(open_session)]
Key = Annotated[str, Header(alias="Idempotency-Key")]


@app.get("/readyz")
async def readyz(session: Session) -> str:
    """The database answers."""
    await programme_in_force(session)
    return "ready"


@app.post("/v1/orders", status_code=201, response_model=None)
async def record_order(body: OrderIn, key: Key, session: Session) -> Response | OrderOut:
    """Record a paid order and give pending points."""
    repeated = await _repeated(session, operation="record_order", key=key)
    if repeated is not None:
        return repeated
    now = datetime.now(UTC)
    account = await locked_account(session, member_id=body.member_id)
    programme = await programme_in_force(session)
    if await session.get(Order, body.order_id) is not None:
        raise HTTPException(409, "already recorded")
    points = growth = body.paid_fen // 100
    order = Order(
        **body.model_dump(exclude={"payer_id", "items"}),
        state="paid",
        refunded_fen=0,
        items=[item.model_dump() for item in body.items],
        payer_hash=hashlib.sha256((body.payer_id or "").encode()).hexdigest(),
        facts_hash=hashlib.sha256(body.model_dump_json().encode()).digest(),
        programme_version=programme.version,
        multiplier_percent=100,
        earned_points=points,
        growth=growth,
        tier_at_recording=account.tier_code,
        refunded_at_recording_fen=0,
        recorded_at=now,
    )
    lot = PointLot(
        id=new_id("lot", at=now),
        member_id=body.member_id,
        cause_kind="order",
        cause_id=order.order_id,
        state="pending",
        points=points,
        remaining=points,
        programme_version=programme.version,
        created_at=now,
    )
    session.add(order)
    session.add(lot)
    account.pending += points
    account.growth += growth
    await add_entry(
        session,
        account=account,
        kind="earned",
        accounts=("issued", "pending"),
        points=points,
        cause=("order", order.order_id),
        programme=programme,
        parts={lot.id: points},
        occurred_at=body.paid_at,
        now=now,
    )
    session.add(
        GrowthEntry(
            member_id=body.member_id,
            cause_kind="order",
            cause_id=order.order_id,
            growth=growth,
            programme_version=programme.version,
            occurred_at=body.paid_at,
        )
    )
    paid = body.model_dump(mode="json", exclude={"items", "payer_id"})
    await add_event(session, subject=body.member_id, kind="order.paid.v1", data=paid, now=now)
    earned = {"member_id": body.member_id, "points": points, "cause_id": order.order_id}
    await add_event(session, subject=body.member_id, kind="points.earned.v1", data=earned, now=now)
    reply = OrderOut(**order.model_dump(), tier=account.tier_code)
    return await _answer(session, operation="record_order", key=key, reply=reply, now=now)


@app.post("/v1/members/{member_id}/points/redemptions", status_code=201, response_model=None)
async def redeem_points(
    member_id: str, body: RedemptionIn, key: Key, session: Session
) -> Response | RedemptionOut:
    """Spend points, the soonest to lapse first."""
    repeated = await _repeated(session, operation="redeem_points", key=key)
    if repeated is not None:
        return repeated
    now = datetime.now(UTC)
    account = await locked_account(session, member_id=member_id)
    programme = await programme_in_force(session)
    if account.available < body.points:
        raise HTTPException(409, "insufficient points")
    lots = select(PointLot).where(
        PointLot.member_id == member_id, PointLot.state == "available", PointLot.remaining > 0
    )
    in_order = lots.order_by(col(PointLot.expires_at), col(PointLot.created_at), col(PointLot.id))
    missing, parts = body.points, {}
    for lot in await session.exec(in_order):
        part = min(lot.remaining, missing)
        if part == 0:
            break
        lot.remaining -= part
        lot.state = "available" if lot.remaining else "closed"
        parts[lot.id] = -part
        missing -= part
    redemption = Redemption(
        id=new_id("rdm", at=now),
        member_id=member_id,
        state="redeemed",
        created_at=now,
        closed_at=now,
        **body.model_dump(),
    )
    session.add(redemption)
    account.available -= body.points
    await add_entry(
        session,
        account=account,
        kind="redeemed",
        accounts=("available", "redeemed"),
        points=body.points,
        cause=("redemption", redemption.id),
        programme=programme,
        parts=parts,
        occurred_at=now,
        now=now,
    )
    spent = {"member_id": member_id, "redemption_id": redemption.id, "points": body.points}
    await add_event(session, subject=member_id, kind="points.redeemed.v1", data=spent, now=now)
    reply = RedemptionOut(
        **redemption.model_dump(),
        available=account.available,
        lots=[LotPart(id=lot_id, points=points) for lot_id, points in parts.items()],
    )
    return await _answer(session, operation="redeem_points", key=key, reply=reply, now=now)


@app.post("/v1/orders/{order_id}/refunds", status_code=201, response_model=None)
async def refund_order(
    order_id: str, body: RefundIn, key: Key, session: Session
) -> Response | RefundOut:
    """Record a refund of a part of an order."""
    repeated = await _repeated(session, operation="refund_order", key=key)
    if repeated is not None:
        return repeated
    now = datetime.now(UTC)
    order = await session.get(Order, order_id)
    if order is None:
        raise HTTPException(404, "no such order")
    account = await locked_account(session, member_id=order.member_id)
    await session.refresh(order)
    if order.refunded_fen + body.amount_fen > order.paid_fen:
        raise HTTPException(409, "refund exceeds payment")
    if await session.get(Refund, body.refund_id) is not None:
        raise HTTPException(409, "already recorded")
    reply = await take_back(session, body=body, order=order, account=account, now=now)
    return await _answer(session, operation="refund_order", key=key, reply=reply, now=now)


async def _repeated(session: AsyncSession, *, operation: str, key: str) -> Response | None:
    known = await session.get(IdempotencyKey, (f"{ACTOR} {operation}", key))
    if known is None:
        return None
    return Response(known.body, status_code=known.status, media_type=known.media_type)


async def _answer(
    session: AsyncSession, *, operation: str, key: str, reply: BaseModel, now: datetime
) -> Response:
    """Keep the reply under its key and commit everything; a twin fails on the key."""
    body = reply.model_dump_json().encode()
    kept = IdempotencyKey()
    for name, value in {
        "scope": f"{ACTOR} {operation}",
        "key": key,
        "fingerprint": hashlib.sha256(body).digest(),
        "status": 201,
        "media_type": "application/json",
        "body": body,
        "created_at": now,
    }.items():
        setattr(kept, name, value)
    session.add(kept)
    await session.commit()
    return Response(body, status_code=201, media_type="application/json")
