"""Referral's composition root."""

from fastapi import FastAPI

from services.referral.api import codes, programmes, referrals
from services.referral.clients.loyalty import LoyaltyMembers
from services.referral.settings import ReferralSettings
from services.referral.subscribers import FROM_LOYALTY
from shared.kernel.clock import Clock, SystemClock
from shared.service.app import ServiceParts, Subscription, create_app


def build(settings: ReferralSettings, *, clock: Clock) -> FastAPI:
    """Put the service together."""
    app = create_app(
        ServiceParts(
            service="referral",
            title="Huitou referral",
            settings=settings,
            clock=clock,
            routers=[codes.router, referrals.router, programmes.router],
            subscriptions=[
                Subscription(
                    producer="loyalty", base_url=settings.loyalty_url, handlers=FROM_LOYALTY
                )
            ],
            state={"link_template": settings.link_template},
        )
    )
    app.state.loyalty = LoyaltyMembers(base_url=settings.loyalty_url, signer=app.state.signer)
    return app


def __getattr__(name: str) -> FastAPI:
    """`app`, made when a server asks for it: importing this module needs no environment."""
    if name == "app":
        return build(ReferralSettings(), clock=SystemClock())
    raise AttributeError(name)
