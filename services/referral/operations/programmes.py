"""Publishing the programme: a new version each time, those before it unchanged."""

from services.referral.domain.programme import Programme, ProgrammeChanged, refuse_unsound
from services.referral.store import programmes as store
from services.referral.store.programmes import Published
from shared.db import Transaction


async def publish_programme(
    transaction: Transaction, *, programme: Programme, paid_levels: int, expected_version: int
) -> Published:
    """Publish terms for newcomers from now on; referrals that exist keep theirs.

    Raises ProgrammeChanged when another version is in force than the caller has seen, and what
    refuse_unsound raises.
    """
    refuse_unsound(programme, paid_levels=paid_levels)
    version = await store.publish(
        transaction.session,
        programme=programme,
        expected=expected_version,
        by=transaction.actor,
        now=transaction.now,
    )
    if version is None:
        raise ProgrammeChanged(version=(await store.current(transaction.session)).version)
    return Published(
        version=version,
        programme=programme,
        published_by=transaction.actor,
        published_at=transaction.now,
    )
