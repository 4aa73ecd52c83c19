"""What somebody does to a ledger who rules the database and knows how it is hashed."""

from typing import Final

from services.loyalty.domain.chain import HASHED_COLUMNS, row_hash
from services.loyalty.store.audit import entry_page
from tests.integration.loyalty.ledger_world import tamper
from tests.support.service import ServiceUnderTest

_WIDTH: Final = len(HASHED_COLUMNS)


async def cut_tail(loyalty: ServiceUnderTest, member_id: str, *, after: int) -> None:
    """Cut a member's entries off after one of them, together with the account and the lots.

    What is left agrees with itself where that entry is one after which all open lots are available.
    """
    of = f"member_id = '{member_id}'"
    parts = "from lot_allocations parts where parts.member_id = lots.member_id and lot_id = lots.id"
    await tamper(
        loyalty,
        f"delete from lot_allocations where {of} and entry_seq > {after}",
        f"delete from point_entries where {of} and seq > {after}",
        f"delete from point_lots lots where {of} and not exists (select 1 {parts})",
        f"update point_lots lots set remaining = (select sum(points) {parts}) where {of}",
        f"update point_lots set state = case when remaining > 0 then 'available' else state end"
        f" where {of}",
        "update accounts set (available, pending, held, debt, entry_seq, entry_hash) = (select"
        " available_after, pending_after, held_after, debt_after, seq, hash from point_entries e"
        f" where e.{of} and e.seq = {after}) where {of}",
    )


async def rewrite(loyalty: ServiceUnderTest, member_id: str, *, actor: str) -> None:
    """Let somebody else have written a member's entries, and chain them anew to their end."""
    async with loyalty.database.begin(actor="test") as transaction:
        pages = await entry_page(transaction.session, member_id=member_id, after=0, limit=10_000)
    before: bytes | None = None
    for row, parts in pages:
        columns = [*row[: _WIDTH - 1], actor]
        after = row_hash(previous=before, columns=columns, allocations=parts)
        await tamper(
            loyalty,
            "update point_entries set actor = :actor, previous_hash = :before, hash = :after"
            " where member_id = :id and seq = :seq",
            actor=actor, before=before, after=after, id=member_id, seq=row[1],
        )  # fmt: skip
        before = after
    await tamper(
        loyalty,
        "update accounts set entry_hash = :hash where member_id = :id",
        hash=before,
        id=member_id,
    )
