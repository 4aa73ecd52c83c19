"""The end of lots: lapsing after a notice that was heard, else extended. Never silently."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.loyalty.domain.expiry_notices import ExtensionReason, Notice, covering
from services.loyalty.domain.ledger import Account, Stamp
from services.loyalty.domain.lots import Cause, Lot
from services.loyalty.domain.lots_rules import LotsRules
from services.loyalty.domain.points import expire
from services.loyalty.domain.programme import month_end
from shared.kernel.clock import business_day, business_day_start
from shared.kernel.errors import Refusal
from shared.kernel.records import replace


class LotNotOpen(Refusal):
    """The lot holds no points whose expiry is set."""

    code = "lot_not_open"


class ExpiryNotLater(Refusal):
    """The lot lapses then or later already, or never: an extension only moves it later."""

    code = "expiry_not_later"


class NothingToExtend(Refusal):
    """No open lot of the member lapses before that day."""

    code = "nothing_to_extend"


@dataclass(frozen=True, kw_only=True)
class Lapse:
    """Points of a lot that lapsed, and the notice without which they would not have."""

    lot_id: str
    points: int
    notice_id: str


@dataclass(frozen=True, kw_only=True)
class Extension:
    """A lot's expiry moved later. `occurred_at` is its day when it was not announced in time."""

    lot_id: str
    points: int
    reason: ExtensionReason
    before: datetime
    after: datetime
    occurred_at: datetime


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A member's books after all that was due at the end of lots, in the order it was due."""

    account: Account
    lapses: tuple[Lapse, ...] = ()
    extensions: tuple[Extension, ...] = ()


def end_due(
    account: Account, *, notices: Sequence[Notice], rules: LotsRules, stamp: Stamp
) -> Ended:
    """Let every available lot past its day lapse, or be extended if no notice covers it.

    In the order of their days, so that it does not matter how late this is done: a lot that was
    extended may be due once more. The caller has released what was due and loaded all open lots.
    """
    ended = Ended(account=account)
    while (lot := _next_due(ended.account, at=stamp.at)) is not None:
        assert lot.expires_at is not None
        found = covering(lot, notices)
        if isinstance(found, Notice):
            lapse = Lapse(lot_id=lot.id, points=lot.remaining, notice_id=found.id)
            cause = Cause(kind="expiry_notice", id=found.id)
            lapsed = expire(ended.account, lot_id=lot.id, cause=cause, stamp=stamp)
            ended = replace(ended, account=lapsed, lapses=(*ended.lapses, lapse))
            continue
        extension = _moved(
            lot,
            points=lot.remaining,
            after=extended(lot.expires_at, rules=rules),
            reason=found,
            occurred_at=lot.expires_at,
        )
        ended = _extended(ended, extension)
    return ended


def extended(expires_at: datetime, *, rules: LotsRules) -> datetime:
    """A new expiry at least `extension_days` later, at the end of a month, whatever the policy.

    To the end of the year, as the fixed policy has it, would give a year for a missing message.
    """
    return month_end(business_day(expires_at) + timedelta(days=rules.extension_days - 1))


def extend(
    account: Account,
    *,
    lot_ids: Sequence[str] | None,
    until: datetime,
    at: datetime,
    held: Sequence[tuple[Lot, int]] = (),
) -> Ended:
    """Move expiries later by an operator's wish: of these lots, or of all that lapse before.

    `held` are the lots of which points are held, and how many: these may come back, so their lots
    are extended as well. Raises LotNotOpen, ExpiryNotLater and NothingToExtend; then nothing is
    moved.
    """
    account = replace(account, lots={**{lot.id: lot for lot, _ in held}, **account.lots})
    parts = {lot.id: points for lot, points in held}
    usable = [lot for lot in account.lots.values() if lot.is_open or lot.id in parts]
    if lot_ids is None:
        lots = [lot for lot in usable if _lapses_before(lot, until)]
        if not lots:
            raise NothingToExtend
    else:
        found = {lot.id: lot for lot in usable}
        lots = [_named(found, lot_id, until=until) for lot_id in lot_ids]
    ended = Ended(account=account)
    for lot in sorted(lots, key=lambda lot: lot.id):
        points = lot.remaining + parts.get(lot.id, 0)
        moved = _moved(lot, points=points, after=until, reason="by_operator", occurred_at=at)
        ended = _extended(ended, moved)
    return ended


def day_end(at: datetime) -> datetime:
    """The end of the business day of a moment; a day's very beginning is the end of the one before.

    Points lapse between two business days, also where an operator names a moment within one.
    """
    start = business_day_start(business_day(at))
    return start if at == start else business_day_start(business_day(at) + timedelta(days=1))


def _next_due(account: Account, *, at: datetime) -> Lot | None:
    due = [
        (lot.expires_at, lot.id, lot)
        for lot in account.lots_in("available")
        if lot.expires_at is not None and lot.expires_at <= at
    ]
    return min(due)[2] if due else None


def _lapses_before(lot: Lot, until: datetime) -> bool:
    return lot.expires_at is not None and lot.expires_at < until


def _named(lots: Mapping[str, Lot], lot_id: str, *, until: datetime) -> Lot:
    lot = lots.get(lot_id)
    if lot is None or (lot.state == "pending" and lot.available_at is None):
        raise LotNotOpen(id=lot_id)
    if not _lapses_before(lot, until):
        raise ExpiryNotLater(id=lot_id)
    return lot


def _moved(
    lot: Lot, *, points: int, after: datetime, reason: ExtensionReason, occurred_at: datetime
) -> Extension:
    assert lot.expires_at is not None
    return Extension(
        lot_id=lot.id,
        points=points,
        reason=reason,
        before=lot.expires_at,
        after=after,
        occurred_at=occurred_at,
    )


def _extended(ended: Ended, extension: Extension) -> Ended:
    lot = replace(ended.account.lots[extension.lot_id], expires_at=extension.after)
    return replace(
        ended,
        account=ended.account.with_lots([lot]),
        extensions=(*ended.extensions, extension),
    )
