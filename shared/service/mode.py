"""Live or sandbox: a database belongs to one of them for good."""

from sqlalchemy import select, update

from shared.db import Database
from shared.kernel.errors import CannotStart
from shared.settings import Mode
from shared.sql import execute
from shared.tables import feed_head


class WrongMode(CannotStart):
    """The database belongs to a system of the other mode."""


async def settle_mode(database: Database, mode: Mode) -> None:
    """Make a database that has no mode yet one of this mode. Raises WrongMode.

    A sandbox moves its clock by months: on live data, points would lapse.
    """
    async with database.begin(actor="start") as transaction:
        session = transaction.session
        known = (await execute(session, select(feed_head.c.mode))).scalar_one()
        if known is None:
            new = update(feed_head).where(feed_head.c.mode.is_(None)).values(mode=mode)
            await execute(session, new)
            # Whoever started at the same moment may have been first.
            known = (await execute(session, select(feed_head.c.mode))).scalar_one()
    if known != mode:
        raise WrongMode(
            f"此数据库属于 HUITOU_MODE={known} 的系统，本系统为 {mode}：请另用一个数据库 / "
            f"this database belongs to a system with HUITOU_MODE={known}, and this one is {mode}:"
            " give it a database of its own"
        )
