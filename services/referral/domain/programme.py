"""The referral programme: what is rewarded, with how much, under which conditions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from shared.kernel.errors import InvalidField, Refusal, RefusalKind

StageName = Literal["enrolled", "first_order"]
Trigger = Literal["enrolled", "first_order_paid", "first_order_completed"]
Role = Literal["referrer", "referee"]

_TRIGGERS: Final[dict[StageName, frozenset[Trigger]]] = {
    "enrolled": frozenset({"enrolled"}),
    "first_order": frozenset({"first_order_paid", "first_order_completed"}),
}


class TooManyPaidLevels(Refusal):
    """Only who brought the newcomer may be paid: more levels make it a pyramid scheme, by law."""

    code = "too_many_paid_levels"
    kind = RefusalKind.invalid


class ProgrammeChanged(Refusal):
    """Somebody else has published a version since the caller looked."""

    code = "programme_changed"


@dataclass(frozen=True, kw_only=True)
class StageReward:
    """What one of the two gets when a stage is reached."""

    role: Role
    amount_fen: int


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A step of a referral that is rewarded, and what makes it reached."""

    name: StageName
    trigger: Trigger
    rewards: Sequence[StageReward]


@dataclass(frozen=True, kw_only=True)
class VoucherTerms:
    """The terms of the vouchers in which rewards are paid."""

    #: The voucher counts on an order of at least this.
    threshold_fen: int
    validity_days: int


@dataclass(frozen=True, kw_only=True)
class Caps:
    """How many newcomers one referrer is rewarded for, by business day and month; None: any."""

    per_day: int | None = None
    per_month: int | None = None


@dataclass(frozen=True, kw_only=True)
class Programme:
    """One version's terms. A referral keeps the version under which its newcomer enrolled."""

    stages: Sequence[Stage]
    voucher: VoucherTerms
    #: What an order must have paid to be a first order. One that cost nothing never is.
    minimum_order_fen: int = 0
    caps: Caps = Caps()
    #: Newcomers of these dates; from `starts_at` on, up to but without `ends_at`.
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def runs_at(self, moment: datetime) -> bool:
        """Whether newcomers who enrol at a moment take part."""
        begun = self.starts_at is None or self.starts_at <= moment
        return begun and (self.ends_at is None or moment < self.ends_at)


@dataclass(frozen=True, kw_only=True)
class Promise:
    """One reward that the programme promises."""

    stage: StageName
    role: Role
    amount_fen: int


def promises(programme: Programme) -> Iterator[Promise]:
    """All that a referral can bring, in the order of the programme."""
    for stage in programme.stages:
        for reward in stage.rewards:
            yield Promise(stage=stage.name, role=reward.role, amount_fen=reward.amount_fen)


def refuse_unsound(programme: Programme, *, paid_levels: int) -> None:
    """Raise TooManyPaidLevels, or InvalidField naming what contradicts itself."""
    if paid_levels > 1:
        raise TooManyPaidLevels
    names = [stage.name for stage in programme.stages]
    if len(set(names)) != len(names):
        raise InvalidField(pointer="/stages", reason="stage_repeated")
    for place, stage in enumerate(programme.stages):
        if stage.trigger not in _TRIGGERS[stage.name]:
            raise InvalidField(pointer=f"/stages/{place}/trigger", reason="trigger_of_other_stage")
        roles = [reward.role for reward in stage.rewards]
        if len(set(roles)) != len(roles):
            raise InvalidField(pointer=f"/stages/{place}/rewards", reason="role_repeated")
    starts, ends = programme.starts_at, programme.ends_at
    if starts is not None and ends is not None and ends <= starts:
        raise InvalidField(pointer="/ends_at", reason="programme_ends_before_it_starts")
