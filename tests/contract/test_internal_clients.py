"""Referral's client against loyalty's real application.

Segmentation's is in tests/integration/segmentation/test_unheard_members.py; each feed's reader in
the tests of the services that hear it.
"""

import pytest

from services.referral.clients.loyalty import LoyaltyAway, LoyaltyMembers
from shared.http.tokens import TokenSigner
from tests.support.processes import free_port
from tests.support.service import Starter, signer_of
from tests.support.serving import serving


async def test_referral_learns_from_loyalty_who_is_a_member(start: Starter) -> None:
    loyalty = await start("loyalty")
    identity = {"kind": "external", "value": "shop-1001"}
    enrolled = await loyalty.call("enrol_member", json={"identities": [identity]})
    async with serving(loyalty.app) as url:
        members = LoyaltyMembers(base_url=url, signer=signer_of("referral"))
        assert await members.is_active(member_id=enrolled.json()["id"])
        assert not await members.is_active(member_id="mem_01kb0t6v3mvc8qd2x5n7h9r4ek")


async def test_referral_takes_a_refusal_for_no_answer(start: Starter) -> None:
    loyalty = await start("loyalty")
    async with serving(loyalty.app) as url:
        # Signed with a key that is not referral's.
        signer = TokenSigner(issuer="referral", private_key=b"x" * 32)
        stranger = LoyaltyMembers(base_url=url, signer=signer)
        with pytest.raises(LoyaltyAway):
            await stranger.is_active(member_id="mem_01kb0t6v3mvc8qd2x5n7h9r4ek")


async def test_referral_notices_that_loyalty_is_away() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    members = LoyaltyMembers(base_url=url, signer=signer_of("referral"))
    with pytest.raises(LoyaltyAway):
        await members.is_active(member_id="mem_01kb0t6v3mvc8qd2x5n7h9r4ek")
