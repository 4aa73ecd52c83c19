"""Bugs in what may happen how often and when, each planted from outside the product."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain import redemptions as rules_of_redemptions
from services.loyalty.domain.redemptions import Standing
from services.loyalty.operations import cancellations, holds
from services.loyalty.store import rewards, voucher_templates
from services.loyalty.store.orders import OrderRecord
from services.loyalty.store.tables import Redemption, VoucherTemplate
from shared.kernel import clock
from tests.chaos.planted_ledger_bugs import Planted, change


async def refund_counts_again(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """A refund is not looked for before it is recorded."""
    patch.setattr(OrderRecord, "refund", lambda self, refund_id: None)


async def cancelling_restores_again(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """A redemption can be cancelled as often as one likes."""

    def forgetful(redemption: Redemption) -> Standing:
        return Standing(
            id=redemption.id,
            state="redeemed",
            points=redemption.points,
            returned_points=0,
            hold_expires_at=None,
            closed_at=None,
        )

    patch.setattr(cancellations, "standing_of", forgetful)


async def captured_after_release(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """A hold is captured without asking what has become of it."""

    def whatever(standing: Standing, *, asked: int | None, now: datetime) -> int:
        return standing.points if asked is None else asked

    patch.setattr(holds, "points_to_capture", whatever)


async def hold_ends_when_the_job_comes_by(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """A hold whose time is over counts until a job has noticed."""
    patch.setattr(rules_of_redemptions, "_require_time_left", lambda standing, now: None)


async def days_of_utc(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """Points lapse at midnight of the server, eight hours after or before that of the shop."""
    patch.setattr(clock, "BUSINESS_ZONE", ZoneInfo("UTC"))


async def reward_issued_again(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """A reward is not looked for before its voucher is issued; events come at least once."""

    async def unknown(session: AsyncSession, *, reward_id: str) -> None:
        return None

    patch.setattr(rewards, "find_reward", unknown)
    # Two keys would stop it: the reward's id, and the voucher's source.
    await change(
        service,
        "alter table rewards drop constraint rewards_pkey",
        "alter table vouchers drop constraint voucher_once_per_source",
    )


async def stock_checked_then_taken(patch: pytest.MonkeyPatch, service: Planted) -> None:
    """The stock of a voucher is read, compared, and written back."""

    async def take(session: AsyncSession, *, template_id: str, count: int) -> Any:
        template = await session.get(VoucherTemplate, template_id)
        if template is None or template.stock is None or template.issued + count > template.stock:
            return None
        template.issued += count
        await session.flush()
        return await taken(session, template_id=template_id, count=0)

    taken = voucher_templates.take_stock
    patch.setattr(voucher_templates, "take_stock", take)
