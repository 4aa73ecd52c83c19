"""Loyalty's composition root."""

from fastapi import FastAPI

from services.loyalty.api import (
    checkout,
    imports,
    imports_points,
    members,
    orders,
    points,
    redemptions,
    refunds,
    tiers,
    voucher_templates,
    vouchers,
    wallet,
)
from services.loyalty.jobs import JOBS
from services.loyalty.settings import LoyaltySettings
from services.loyalty.store.vault import Vault
from services.loyalty.subscribers import FROM_REFERRAL
from shared.kernel.clock import Clock, SystemClock
from shared.service.app import ServiceParts, Subscription, create_app


def build(settings: LoyaltySettings, *, clock: Clock) -> FastAPI:
    """Put the service together."""
    return create_app(
        ServiceParts(
            service="loyalty",
            title="Huitou loyalty",
            settings=settings,
            clock=clock,
            routers=[
                imports.router,
                imports_points.router,
                members.router,
                members.internal_router,
                orders.router,
                refunds.router,
                points.router,
                redemptions.router,
                wallet.router,
                tiers.router,
                voucher_templates.router,
                vouchers.router,
                checkout.router,
            ],
            subscriptions=[
                Subscription(
                    producer="referral", base_url=settings.referral_url, handlers=FROM_REFERRAL
                ),
            ],
            jobs=JOBS,
            state={"vault": vault_of(settings)},
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
