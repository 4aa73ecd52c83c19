"""What a merge moves, table by table: to the target on the way, back on a reversal.

Every table that belongs to a member stands here or in STAYS; a test compares both with the tables
there are, so that a new one cannot be forgotten.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.sql import execute

#: Kind of thing → its table, and what names one in it.
MOVES: Final[Mapping[str, tuple[str, str]]] = {
    "identity": ("identities", "id"),
    "order": ("orders", "order_id"),
    "growth": ("growth_entries", "cause_kind || ':' || cause_id"),
    "redemption": ("redemptions", "id"),
    "reservation": ("reservations", "id"),
    "voucher": ("vouchers", "id"),
    "reward": ("rewards", "reward_id"),
    # One that waits for a second person is decided for whoever lives on.
    "adjustment": ("adjustments", "id"),
}
#: Table → why its rows are not moved, or by what else.
STAYS: Final[Mapping[str, str]] = {
    "accounts": "balances are handed over by entries; the tier is decided",
    "point_entries": "the ledger is never changed: it tells of what happened under this id",
    "point_lots": "handed over by entries, with the same ids; `moved_by` says in which merge",
    "lot_allocations": "as the entries",
    "refunds": "they go where their orders go",
    "order_cancellations": "they go where their orders go",
    "entry_reasons": "as the entries",
    "transfers": "the history of this id; each lot that came by one goes as a lot",
    "imported_movements": "references count once per member; asked for through its merges",
    "expiry_notices": (
        "they told of this id's points, and cover them again after a reversal; the survivor is told"
        " anew, and without a notice delivered in time nothing of theirs lapses"
    ),
    "expiry_notice_lots": "as the notices",
    "expiry_notice_failures": "as the notices",
    "expiry_extensions": "the history of this id",
    "ledger_checkpoint_heads": "proof of this id's own chain",
    "tier_changes": "the history of this id",
    "member_merges": "the record of merges itself",
    "member_merge_moves": "the record of merges itself",
    "member_replies": "replies given under this id",
}

# Growth of one cause counts once: where both have the same cause, the target's stays alone.
_MOVE: Final = """
    with moved as (
      update {table} as thing set member_id = :target where member_id = :source {unless}
      returning {name} as thing_id
    )
    insert into member_merge_moves (merge_id, member_id, kind, thing_id)
    select :merge_id, :source, '{kind}', thing_id from moved
"""
_GROWTH_KNOWN: Final = """
    and not exists (
      select from growth_entries as known where known.member_id = :target
        and known.cause_kind = thing.cause_kind and known.cause_id = thing.cause_id
    )
"""
_RETURN: Final = """
    update {table} as thing set member_id = :source from member_merge_moves as move
    where move.merge_id = :merge_id and move.kind = '{kind}' and move.thing_id = {name}
      and thing.member_id = :target {unless}
"""
# A voucher that the target's own checkout holds by now stays until that ends, and for good. A used
# one goes where its order goes, and orders go first: when that is refunded, the voucher is looked
# for with whoever has the order. Of an order that is not known yet, the moment of use tells.
_NOT_USED_BY_TARGET: Final = """
    and not exists (
      select from reservations where reservations.id = thing.reservation_id
        and reservations.member_id = :target and thing.state in ('held', 'frozen')
    )
    and (thing.state <> 'redeemed' or coalesce(
      (select orders.member_id <> :target from orders where orders.order_id = thing.order_id),
      thing.redeemed_at < (select merged_at from member_merges where id = :merge_id)
    ))
"""
# An adjustment that was decided while both were one was decided for the target: its points are
# there, as its entry tells, whatever the clocks say. A rejected one has none.
_NOT_DECIDED_FOR_TARGET: Final = """
    and case thing.state when 'applied' then not exists (
        select from point_entries as entries where entries.cause_kind = 'adjustment'
          and entries.cause_id = thing.id and entries.kind = 'adjusted'
          and entries.member_id = :target
      )
      else coalesce(
        thing.decided_at < (select merged_at from member_merges where id = :merge_id), true
      )
    end
"""
_KEPT_BY_TARGET: Final = {"voucher": _NOT_USED_BY_TARGET, "adjustment": _NOT_DECIDED_FOR_TARGET}
_MERGED_ON: Final = text(
    """
    with moved as (
      update members set merged_into = :target where merged_into = :source returning id
    )
    insert into member_merge_moves (merge_id, member_id, kind, thing_id)
    select :merge_id, :source, 'member', id from moved
    """
)
_MERGED_BACK: Final = text(
    """
    update members set merged_into = :source from member_merge_moves as move
    where move.merge_id = :merge_id and move.kind = 'member' and move.thing_id = members.id
      and members.merged_into = :target
    """
)
_OF_ORDERS: Final = tuple(
    text(
        f"""
        update {table} as fact set member_id = :taker from orders
        where orders.order_id = fact.order_id and orders.member_id = :taker
          and fact.member_id = :giver
        """  # noqa: S608 - constants
    )
    for table in ("refunds", "order_cancellations")
)
# Closed lots go along too: what was spent of them may come back one day.
_LOTS: Final = text(
    """
    with gone as (
      update point_lots set moved_by = :merge_id
      where member_id = :giver and (moved_by is null or remaining > 0)
        and (:all_lots or id in (
          select id from point_lots where member_id = :taker and moved_by = :merge_id
        ))
      returning *
    )
    insert into point_lots (member_id, id, cause_kind, cause_id, state, points, remaining,
      available_at, expires_at, programme_version, created_at)
    select :taker, id, cause_kind, cause_id, 'closed', points, 0, available_at, expires_at,
      programme_version, created_at
    from gone
    on conflict (member_id, id) do update set moved_by = null
    """
)
# Of a lot that has gone back to where it came from, a row for what happened here goes along: what
# was spent of it here comes back to whoever this member is by then. The lot itself lives elsewhere,
# so the row says from the start that it moved.
_TRACES: Final = text(
    """
    insert into point_lots (member_id, id, cause_kind, cause_id, state, points, remaining,
      available_at, expires_at, programme_version, moved_by, created_at)
    select :taker, id, cause_kind, cause_id, 'closed', points, 0, available_at, expires_at,
      programme_version, :merge_id, created_at
    from point_lots where member_id = :giver and moved_by is not null and remaining = 0
    on conflict (member_id, id) do nothing
    """
)
_LOTS_OF: Final = text(
    "select id from point_lots where member_id = :source and moved_by = :merge_id"
)
_MOVED_ORDERS: Final = text(
    """
    select thing_id from member_merge_moves where merge_id = :merge_id and kind = 'order'
    order by thing_id
    """
)


async def move_all(session: AsyncSession, *, merge_id: str, source: str, target: str) -> None:
    """Give everything of the source to the target, and keep on record what it was."""
    named = {"merge_id": merge_id, "source": source, "target": target}
    for kind, (table, name) in MOVES.items():
        unless = _GROWTH_KNOWN if kind == "growth" else ""
        statement = _MOVE.format(kind=kind, table=table, name=name, unless=unless)
        await execute(session, text(statement), named)
    for of_orders in _OF_ORDERS:
        await execute(session, of_orders, {"giver": source, "taker": target})
    await execute(session, _MERGED_ON, named)


async def return_all(session: AsyncSession, *, merge_id: str, source: str, target: str) -> None:
    """Give back to the source what the merge moved and the target still has."""
    named = {"merge_id": merge_id, "source": source, "target": target}
    for kind, (table, name) in MOVES.items():
        unless = _KEPT_BY_TARGET.get(kind, "")
        statement = _RETURN.format(kind=kind, table=table, name=name, unless=unless)
        await execute(session, text(statement), named)
    for of_orders in _OF_ORDERS:
        await execute(session, of_orders, {"giver": target, "taker": source})
    await execute(session, _MERGED_BACK, named)


async def move_lots(
    session: AsyncSession, *, merge_id: str, giver: str, taker: str, back: bool
) -> None:
    """Make the taker's rows of the giver's lots, still empty: all lots, or those that go back."""
    given = {"merge_id": merge_id, "giver": giver, "taker": taker}
    if not back:
        await execute(session, _TRACES, given)
    await execute(session, _LOTS, {**given, "all_lots": not back})


async def lots_that_go_back(session: AsyncSession, *, merge_id: str, source: str) -> set[str]:
    """The ids of the lots that a merge took from the source."""
    given = {"merge_id": merge_id, "source": source}
    return set((await execute(session, _LOTS_OF, given)).scalars())


async def moved_orders(session: AsyncSession, *, merge_id: str) -> Sequence[str]:
    """The ids of the orders that a merge moved; they never change afterwards."""
    return (await execute(session, _MOVED_ORDERS, {"merge_id": merge_id})).scalars().all()
