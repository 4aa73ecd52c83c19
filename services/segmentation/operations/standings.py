"""Scoring members anew from their facts, and telling of those who moved."""

from collections.abc import Mapping, Sequence

from services.segmentation.domain.standings import Move, Standing, ThresholdSet, moves, stand
from services.segmentation.store import standings as store
from shared.contracts.segmentation import MoveCause, SegmentEntered, SegmentLeft
from shared.db import Transaction
from shared.kernel.clock import business_day


async def rescore(
    transaction: Transaction, *, member_ids: Sequence[str], by: ThresholdSet, cause: MoveCause
) -> int:
    """Score these members as of today from all their facts; says how many moved.

    The caller holds the writing lock. Members we do not know of are left out. What comes out
    depends on the facts alone, not on where the members stood.
    """
    session = transaction.session
    # The clocks of two machines may differ around midnight: never back behind the thresholds.
    as_of = max(business_day(transaction.now), by.thresholds.as_of)
    present = await store.present_members(session, member_ids=member_ids, as_of=as_of)
    if not present:
        return 0
    after = {one.member_id: stand(measures=one.measures, by=by) for one in present}
    moved = _moves(present, after=after)
    rescored = store.Rescored(
        standings=after,
        moved=list(moved),
        as_of=as_of,
        threshold_set_id=by.id,
        cause=cause,
        now=transaction.now,
    )
    await store.save_standings(session, rescored=rescored)
    for member_id, found in moved.items():
        for move in found:
            _tell(transaction, member_id=member_id, move=move, cause=cause, rescored=rescored)
    return len(moved)


def _moves(
    present: Sequence[store.PresentMember], *, after: Mapping[str, Standing]
) -> Mapping[str, Sequence[Move]]:
    found = {
        one.member_id: moves(before=one.classification, after=after[one.member_id].classification)
        for one in present
    }
    return {member_id: some for member_id, some in found.items() if some}


def _tell(
    transaction: Transaction,
    *,
    member_id: str,
    move: Move,
    cause: MoveCause,
    rescored: store.Rescored,
) -> None:
    scheme, as_of = move.scheme.value, rescored.as_of
    if move.left is not None:
        left = SegmentLeft(
            member_id=member_id,
            scheme=scheme,
            segment=move.left,
            next=move.entered,
            cause=cause,
            as_of=as_of,
        )
        transaction.record(left, subject=member_id)
    if move.entered is not None:
        entered = SegmentEntered(
            member_id=member_id,
            scheme=scheme,
            segment=move.entered,
            previous=move.left,
            cause=cause,
            as_of=as_of,
        )
        transaction.record(entered, subject=member_id)
