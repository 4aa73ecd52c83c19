"""Loyalty, played at the edge: it tells facts through the feed's own door and answers rewards.

It keeps to loyalty's contract: a reward is issued once; taken back, its unused voucher is voided
and its used one written off; a reversal that comes first keeps the reward from being issued.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from services.referral.subscribers import FROM_LOYALTY
from shared.contracts.envelope import CloudEvent, EventData
from shared.contracts.loyalty import (
    ImportedOrder,
    MemberEnrolled,
    OrderCompleted,
    OrderPaid,
    OrderRefunded,
    OrdersImported,
    RewardRefused,
    RewardReversed,
    VoucherIssued,
    VoucherRedeemed,
    VoucherVoided,
)
from shared.events.applying import apply_batch
from shared.events.cursor import read_cursor
from shared.kernel.ids import new_id
from tests.support.service import NOON, ServiceUnderTest, Starter

DAY = timedelta(days=1)


def member_id() -> str:
    """A member of whom nothing is known yet."""
    return new_id("mem", at=NOON)


def enrolled(
    member: str, *, code: str | None = None, at: datetime = NOON, device: str | None = None
) -> MemberEnrolled:
    return MemberEnrolled(member_id=member, enrolled_at=at, referral_code=code, device_id=device)


def paid(member: str, order: str, *, fen: int = 29_900, at: datetime = NOON + DAY) -> OrderPaid:
    return OrderPaid(order_id=order, member_id=member, paid_fen=fen, paid_at=at)


def completed(member: str, order: str, *, at: datetime = NOON + 5 * DAY) -> OrderCompleted:
    return OrderCompleted(order_id=order, member_id=member, completed_at=at)


def refunded(
    member: str, order: str, *, fen: int = 29_900, in_full: bool = True, refund: str | None = None
) -> OrderRefunded:
    return OrderRefunded(
        order_id=order,
        refund_id=refund or f"refund-of-{order}",
        member_id=member,
        amount_fen=fen,
        refunded_total_fen=fen,
        in_full=in_full,
        refunded_at=NOON + 6 * DAY,
    )


def imported(*orders: tuple[str, str, datetime], refunded_fen: int = 0) -> OrdersImported:
    """An import of (member, order, paid at)."""
    return OrdersImported(
        import_id="imp_history",
        orders=[
            ImportedOrder(
                order_id=order,
                member_id=member,
                paid_fen=9_900,
                refunded_fen=refunded_fen,
                paid_at=at,
            )
            for member, order, at in orders
        ],
    )


def subject_of(event: EventData) -> str:
    """The subject under which loyalty publishes an event."""
    if isinstance(event, OrdersImported):
        return event.import_id
    return str(event.model_dump()["member_id"])


@dataclass
class Wallet:
    """What loyalty remembers of one reward."""

    state: Literal["issued", "refused", "reversed"]
    member_id: str
    voucher_id: str | None = None
    used: bool = False


@dataclass
class PlayedLoyalty:
    """Loyalty as referral meets it."""

    referral: ServiceUnderTest
    told: list[CloudEvent] = field(default_factory=list)
    rewards: dict[str, Wallet] = field(default_factory=dict)
    #: Members whose rewards are refused.
    erased: set[str] = field(default_factory=set)
    _epoch: uuid.UUID = field(default_factory=uuid.uuid4)
    _heard: int = 0

    def envelope(self, event: EventData) -> CloudEvent:
        """The next event of the log."""
        made = CloudEvent(
            id=uuid.uuid4(),
            source="urn:huitou:loyalty",
            type=event.type,
            subject=subject_of(event),
            time=NOON,
            pos=len(self.told) + 1,
            subjectversion=1,
            epoch=self._epoch,
            data=event.model_dump(mode="json"),
        )
        self.told.append(made)
        return made

    async def tell(self, *events: EventData) -> None:
        """Publish events and have referral apply them, in one batch."""
        await self.apply([self.envelope(event) for event in events])

    async def apply(self, events: Sequence[CloudEvent]) -> None:
        """Have referral apply a batch from where its cursor stands."""
        database = self.referral.database
        async with database.reading() as session:
            cursor = await read_cursor(session, producer="loyalty")
        await apply_batch(
            database, cursor=cursor, events=events, handlers=FROM_LOYALTY, service="referral"
        )

    async def requests(self) -> list[Any]:
        """What referral has asked for since the last look: rows of type and data."""
        rows = await self.referral.rows(
            "select id, type, data from outbox where id > :heard and type like '%_due.v1'"
            " order by id",
            heard=self._heard,
        )
        if rows:
            self._heard = rows[-1].id
        return rows

    async def answer(self) -> None:
        """Answer all that referral asks for, until it asks no more."""
        while rows := await self.requests():
            answers = [answer for row in rows for answer in self._answers(row.type, row.data)]
            if answers:
                await self.tell(*answers)

    async def use(self, reward_id: str) -> None:
        """The beneficiary uses the voucher of a reward."""
        wallet = self.rewards[reward_id]
        wallet.used = True
        assert wallet.voucher_id is not None
        await self.tell(
            VoucherRedeemed(
                voucher_id=wallet.voucher_id,
                member_id=wallet.member_id,
                order_id="own-order",
                source_kind="referral_reward",
                source_id=reward_id,
            )
        )

    def usable(self, member: str) -> int:
        """How many unused vouchers of rewards a member has."""
        return sum(
            one.state == "issued" and not one.used and one.member_id == member
            for one in self.rewards.values()
        )

    def _answers(self, kind: str, data: dict[str, Any]) -> list[EventData]:
        reward_id = data["reward_id"]
        known = self.rewards.get(reward_id)
        if kind == "referral.reward_due.v1":
            return [] if known else self._issue(reward_id, data)
        return self._reverse(reward_id, known, data)

    def _issue(self, reward_id: str, data: dict[str, Any]) -> list[EventData]:
        member = data["beneficiary_id"]
        if member in self.erased:
            self.rewards[reward_id] = Wallet(state="refused", member_id=member)
            return [RewardRefused(reward_id=reward_id, member_id=member, reason="member_erased")]
        voucher_id = new_id("vch", at=NOON)
        self.rewards[reward_id] = Wallet(state="issued", member_id=member, voucher_id=voucher_id)
        return [
            VoucherIssued(
                voucher_id=voucher_id,
                member_id=member,
                template_id="vtp_reward",
                amount_fen=data["amount_fen"],
                source_kind="referral_reward",
                source_id=reward_id,
                expires_at=NOON + 90 * DAY,
            )
        ]

    def _reverse(
        self, reward_id: str, known: Wallet | None, data: dict[str, Any]
    ) -> list[EventData]:
        wallet = known or Wallet(state="refused", member_id=data["beneficiary_id"])
        self.rewards[reward_id] = wallet
        if wallet.state == "reversed":
            return []
        wallet.state = "reversed"
        voided: list[EventData] = []
        outcome: Literal["voided", "written_off", "never_issued"] = "never_issued"
        if wallet.voucher_id is not None:
            outcome = "written_off" if wallet.used else "voided"
        if outcome == "voided":
            assert wallet.voucher_id is not None
            voided = [
                VoucherVoided(
                    voucher_id=wallet.voucher_id,
                    member_id=wallet.member_id,
                    source_kind="referral_reward",
                    source_id=reward_id,
                    reason=data["reason"],
                )
            ]
        return [
            *voided,
            RewardReversed(
                reward_id=reward_id,
                member_id=wallet.member_id,
                voucher_id=wallet.voucher_id,
                outcome=outcome,
            ),
        ]


@dataclass
class Circle:
    """小雅 has shared her code; 小波 may enrol with it."""

    referral: ServiceUnderTest
    loyalty: PlayedLoyalty
    referrer: str
    code: str
    referee: str

    async def enrol(self) -> None:
        """The referee enrols with the code, and loyalty issues what comes of it."""
        await self.loyalty.tell(enrolled(self.referee, code=self.code))
        await self.loyalty.answer()

    async def tell(self, *events: EventData) -> None:
        """Loyalty tells facts and answers all that comes of them."""
        await self.loyalty.tell(*events)
        await self.loyalty.answer()

    async def of_referee(self) -> dict[str, Any]:
        """The referral, as the API shows it."""
        page = (await self.referral.call("list_referrals")).json()
        (found,) = [one for one in page["data"] if one["referee"] == self.referee]
        return dict(found)

    async def rewards(self, *, live: bool = True) -> list[tuple[str, str, int, str]]:
        """The rewards that count, or all: stage, role, amount and state."""
        return [
            (one["stage"], one["role"], one["amount_fen"], one["state"])
            for one in (await self.of_referee())["rewards"]
            if not live or one["state"] != "reversed"
        ]

    async def parked(self) -> int:
        """How many events could not be applied."""
        return int(await self.referral.scalar("select count(*) from parked_events"))


async def share_code(referral: ServiceUnderTest, member: str) -> str:
    """The code of a member who is known."""
    reply = await referral.call("show_referral_code", member_id=member)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["code"])


async def begin(start: Starter) -> Circle:
    """A referral service in which a referrer has shared a code."""
    referral = await start("referral")
    loyalty = PlayedLoyalty(referral=referral)
    referrer = member_id()
    await loyalty.tell(enrolled(referrer, at=NOON - 30 * DAY))
    code = await share_code(referral, referrer)
    return Circle(
        referral=referral, loyalty=loyalty, referrer=referrer, code=code, referee=member_id()
    )
