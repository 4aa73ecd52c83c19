"""Erasing a member: what they still have is written off, so that the books close at nothing."""

from services.loyalty.domain.ledger import Account, AccountName, Posting, Stamp, post
from services.loyalty.domain.lots import Cause, Lot


def write_off(account: Account, *, cause: Cause, programme_version: int, stamp: Stamp) -> Account:
    """Write off all points, usable or not, reserved or owed. All open lots must be loaded."""

    def written_off(
        account: Account, debit: AccountName, credit: AccountName, points: int, lots: list[Lot]
    ) -> Account:
        posting = Posting(
            kind="adjusted",
            debit=debit,
            credit=credit,
            points=points,
            cause=cause,
            programme_version=programme_version,
            occurred_at=stamp.at,
            lots=tuple(lot.taken(lot.remaining) for lot in lots),
        )
        return post(account, posting, stamp=stamp) if points else account

    owned = account.balances
    available, pending = account.lots_in("available"), account.lots_in("pending")
    account = written_off(account, "available", "written_off", owned.available, available)
    account = written_off(account, "pending", "written_off", owned.pending, pending)
    account = written_off(account, "held", "written_off", owned.held, [])
    return written_off(account, "written_off", "debt", owned.debt, [])
