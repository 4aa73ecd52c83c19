"""Fixtures of the referral service."""

import pytest

from tests.integration.referral.loyalty_played import Circle, begin
from tests.support.service import Starter


@pytest.fixture
async def circle(start: Starter) -> Circle:
    """A referrer who has shared a code, and a newcomer who has not enrolled yet."""
    return await begin(start)
