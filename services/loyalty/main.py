"""Loyalty's composition root."""

from datetime import timedelta
from typing import Final

from fastapi import FastAPI

from services.loyalty.api import (
    adjustments,
    audit,
    checkout,
    erasure,
    expiry_extensions,
    expiry_notices,
    export,
    holds,
    imports,
    imports_points,
    lots,
    lots_changes,
    members,
    merges,
    order_cancellations,
    orders,
    points,
    redemptions,
    refunds,
    tiers,
    transfers,
    voucher_templates,
    vouchers,
    wallet,
)
from services.loyalty.jobs import JOBS, ledger_jobs
from services.loyalty.operations.completion_batches import OrderCompletions
from services.loyalty.operations.order_batches import OrderRecordings
from services.loyalty.operations.redemptions import Redemptions
from services.loyalty.operations.refund_batches import RefundRecordings
from services.loyalty.settings import LoyaltySettings
from services.loyalty.store.readings import MemberReader
from services.loyalty.store.vault import Vault
from services.loyalty.store.wallet import read_wallets
from services.loyalty.subscribers import FROM_REFERRAL
from shared.kernel.clock import Clock, SystemClock
from shared.service.app import ServiceParts, Subscription, create_app

#: In the order of the document.
ROUTERS: Final = [
    imports.router,
    imports_points.router,
    members.router,
    members.internal_router,
    orders.hot_router,
    merges.router,
    erasure.router,
    export.router,
    orders.router,
    refunds.hot_router,
    order_cancellations.router,
    points.router,
    redemptions.hot_router,
    lots.router,
    lots_changes.router,
    expiry_notices.router,
    expiry_extensions.router,
    redemptions.router,
    holds.router,
    transfers.router,
    adjustments.router,
    wallet.router,
    tiers.router,
    voucher_templates.router,
    vouchers.router,
    checkout.router,
    audit.router,
    audit.member_router,
]


def build(settings: LoyaltySettings, *, clock: Clock) -> FastAPI:
    """Put the service together."""
    reader = MemberReader()
    return create_app(
        ServiceParts(
            service="loyalty",
            title="Huitou loyalty",
            settings=settings,
            clock=clock,
            routers=ROUTERS,
            subscriptions=[
                Subscription(
                    producer="referral", base_url=settings.referral_url, handlers=FROM_REFERRAL
                ),
            ],
            jobs=[
                *JOBS,
                *ledger_jobs(
                    checkpoint_every=timedelta(seconds=settings.checkpoint_every_s),
                    reconcile_every=timedelta(seconds=settings.reconcile_every_s),
                ),
            ],
            state={"vault": vault_of(settings)},
            reads={"wallets": read_wallets},
            batches={
                "orders": OrderRecordings(reader),
                "completions": OrderCompletions(reader),
                "refunds": RefundRecordings(reader),
                "redemptions": Redemptions(reader),
            },
        )
    )


def vault_of(settings: LoyaltySettings) -> Vault:
    """The vault with the keys of this deployment."""
    return Vault(
        hash_key=settings.identity_hash_key.get_secret_value(),
        encryption_key=settings.identity_encryption_key.get_secret_value(),
    )


def __getattr__(name: str) -> FastAPI:
    """`app`, made when a server asks for it: importing this module needs no environment."""
    if name == "app":
        return build(LoyaltySettings(), clock=SystemClock())
    raise AttributeError(name)
