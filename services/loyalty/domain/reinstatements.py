"""Reinstatements: lapsed points given back by an operator, to the lot they lapsed from."""

from datetime import datetime

from services.loyalty.domain.ledger import Account, Posting, Stamp, post
from services.loyalty.domain.lots import Cause, Lot
from services.loyalty.domain.points import repay
from shared.kernel.errors import Refusal
from shared.kernel.records import replace


class MoreThanLapsed(Refusal):
    """Fewer points of the lot have lapsed and not been given back; the facts say how many."""

    code = "more_than_lapsed"


def reinstate(
    account: Account,
    *,
    lot: Lot,
    lapsed: int,
    points: int,
    until: datetime,
    cause: Cause,
    programme_version: int,
    stamp: Stamp,
) -> Account:
    """Give `points` of the `lapsed` ones back to their lot, good until `until`; then repay debt.

    `lot` is the lot as it is stored, `lapsed` what lapsed of it less what was given back before.
    Its end never moves earlier, whatever was given back and spent since. Raises MoreThanLapsed.
    """
    if not 0 < points <= lapsed:
        raise MoreThanLapsed(lapsed=lapsed, asked=points)
    account = replace(account, lots={lot.id: lot, **account.lots})
    lot = account.lots[lot.id]
    ends = None if lot.expires_at is None else max(lot.expires_at, until)
    given = replace(lot.given(points), expires_at=ends)
    posting = Posting(
        kind="reinstated",
        debit="expired",
        credit="available",
        points=points,
        cause=cause,
        programme_version=programme_version,
        occurred_at=stamp.at,
        lots=(given,),
    )
    return repay(post(account, posting, stamp=stamp), lot.id, stamp=stamp)
