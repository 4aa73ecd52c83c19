"""Whether a member is one, for the routes that are about a member."""

from fastapi import Request

from services.referral.clients.loyalty import LoyaltyMembers
from services.referral.store.codes import is_known
from shared.db import Database
from shared.kernel.errors import NotFound


async def refuse_unknown_member(request: Request, *, member_id: str) -> None:
    """Raise NotFound for a member there is not, LoyaltyAway when that cannot be found out.

    One just enrolled may not have been heard of here, and one that came with an imported history
    never is, so loyalty is asked; with no session open, so that waiting holds no connection.
    """
    database: Database = request.app.state.database
    loyalty: LoyaltyMembers = request.app.state.loyalty
    async with database.reading() as session:
        if await is_known(session, member_id=member_id):
            return
    if not await loyalty.is_active(member_id=member_id):
        raise NotFound
