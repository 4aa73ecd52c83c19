"""Referral codes: made on first use, one per member and channel."""

from services.referral.domain.codes import new_code
from services.referral.store import codes as store
from shared.db import Transaction


async def code_for(transaction: Transaction, *, member_id: str, channel: str) -> str:
    """The member's code for a channel, made if there is none. First uses at once get one code."""
    session = transaction.session
    while (known := await store.find_code(session, member_id=member_id, channel=channel)) is None:
        # Nothing is added when somebody was quicker, or in the rarest of cases the code is taken.
        await store.add_code(
            session, code=new_code(), member_id=member_id, channel=channel, now=transaction.now
        )
    return known
