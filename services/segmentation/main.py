"""Segmentation's composition root."""

from datetime import timedelta

from fastapi import FastAPI

from services.segmentation.api import members, runs, segments
from services.segmentation.clients.loyalty import LoyaltyMembers
from services.segmentation.jobs import segmentation_jobs
from services.segmentation.settings import SegmentationSettings
from services.segmentation.subscribers import LOYALTY
from shared.kernel.clock import Clock, SystemClock
from shared.service.app import ServiceParts, Subscription, create_app


def build(settings: SegmentationSettings, *, clock: Clock) -> FastAPI:
    """Put the service together."""
    app = create_app(
        ServiceParts(
            service="segmentation",
            title="Huitou segmentation",
            settings=settings,
            clock=clock,
            routers=[members.router, segments.router, runs.router],
            subscriptions=[
                Subscription(producer="loyalty", base_url=settings.loyalty_url, handlers=LOYALTY)
            ],
            jobs=segmentation_jobs(import_quiet=timedelta(seconds=settings.import_quiet_s)),
        )
    )
    app.state.loyalty = LoyaltyMembers(base_url=settings.loyalty_url, signer=app.state.signer)
    return app


def __getattr__(name: str) -> FastAPI:
    """`app`, made when a server asks for it: importing this module needs no environment."""
    if name == "app":
        return build(SegmentationSettings(), clock=SystemClock())
    raise AttributeError(name)
