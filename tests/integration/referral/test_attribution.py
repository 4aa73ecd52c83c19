"""Who belongs to whom: by the code given at enrolment, once and for ever."""

from datetime import datetime, timedelta

from tests.integration.referral.loyalty_played import (
    DAY,
    Circle,
    enrolled,
    member_id,
    paid,
    share_code,
)
from tests.support.service import NOON


async def enrol_with(circle: Circle, code: str, *, at: datetime = NOON) -> str:
    """Another newcomer who enrols with a code."""
    member = member_id()
    await circle.tell(enrolled(member, code=code, at=at))
    return member


async def of(circle: Circle, member: str) -> tuple[str, list[str], str | None]:
    """State, reasons and referrer of the referral of a member."""
    page = (await circle.referral.call("list_referrals")).json()["data"]
    (found,) = [one for one in page if one["referee"] == member]
    return found["state"], found["reasons"], found["referrer"]


async def test_a_code_is_understood_as_people_type_it(circle: Circle) -> None:
    spaced = " ".join([circle.code[:3].lower(), circle.code[3:6], circle.code[6:]])
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in circle.code)
    for typed in (circle.code.lower(), spaced, f" {circle.code}\n", wide, f"r={circle.code}"):
        member = await enrol_with(circle, typed)
        assert await of(circle, member) == ("enrolled", [], circle.referrer)


async def test_a_code_that_nobody_has_is_rejected_and_rewards_nobody(circle: Circle) -> None:
    for code in ("ZZZZZZZZZ", "x", "我的推荐码", "7" * 100):
        member = await enrol_with(circle, code)
        assert await of(circle, member) == ("rejected", ["unknown_code"], None)
    assert await circle.referral.scalar("select count(*) from rewards") == 0
    assert await circle.parked() == 0


async def test_a_newcomer_without_a_code_belongs_to_nobody(circle: Circle) -> None:
    await circle.tell(enrolled(circle.referee), paid(circle.referee, "SO-1"))
    assert (await circle.referral.call("list_referrals")).json()["data"] == []
    assert await circle.parked() == 0


async def test_nobody_refers_themselves(circle: Circle) -> None:
    # The enrolment is heard only after the code was made: loyalty was asked for the member.
    again = member_id()
    await circle.tell(enrolled(again))
    code = await share_code(circle.referral, again)
    await circle.tell(enrolled(again, code=code))
    assert await of(circle, again) == ("rejected", ["self_referral"], again)
    assert await circle.referral.scalar("select count(*) from rewards") == 0


async def test_a_loop_is_rejected_however_long(circle: Circle) -> None:
    chain = [circle.referrer]
    for _ in range(3):
        code = await share_code(circle.referral, chain[-1])
        chain.append(await enrol_with(circle, code))
    last = await share_code(circle.referral, chain[-1])
    await circle.tell(enrolled(circle.referrer, code=last))
    assert await of(circle, circle.referrer) == ("rejected", ["loop"], chain[-1])
    assert [state for state, _, _ in [await of(circle, one) for one in chain[1:]]] == [
        "enrolled"
    ] * 3


async def test_the_first_code_given_counts_for_ever(circle: Circle) -> None:
    await circle.enrol()
    other = member_id()
    await circle.tell(enrolled(other))
    code = await share_code(circle.referral, other)
    await circle.tell(enrolled(circle.referee, code=code))
    assert await of(circle, circle.referee) == ("enrolled", [], circle.referrer)
    assert circle.loyalty.usable(other) == 0


async def test_an_order_paid_in_the_second_of_the_enrolment_is_not_before_it(
    circle: Circle,
) -> None:
    at = NOON + timedelta(microseconds=700_000)
    await circle.tell(enrolled(circle.referee, code=circle.code, at=at))
    await circle.tell(paid(circle.referee, "SO-1", at=NOON))
    assert (await of(circle, circle.referee))[0] == "completed"


async def test_an_order_paid_a_second_before_the_enrolment_is(circle: Circle) -> None:
    await circle.enrol()
    await circle.tell(paid(circle.referee, "SO-1", at=NOON - timedelta(seconds=1)))
    assert await of(circle, circle.referee) == (
        "rejected",
        ["existing_customer"],
        circle.referrer,
    )
    assert circle.loyalty.usable(circle.referrer) == circle.loyalty.usable(circle.referee) == 0


async def test_what_was_rejected_stays_so_whatever_is_bought(circle: Circle) -> None:
    member = await enrol_with(circle, "ZZZZZZZZZ")
    await circle.tell(paid(member, "SO-1"), paid(member, "SO-2", at=NOON + 2 * DAY))
    assert (await of(circle, member))[0] == "rejected"
    assert await circle.referral.scalar("select count(*) from rewards") == 0


async def test_the_log_tells_what_became_of_each(circle: Circle) -> None:
    await circle.enrol()
    rejected = await enrol_with(circle, "ZZZZZZZZZ")
    await circle.tell(paid(circle.referee, "SO-1"))
    rows = await circle.referral.rows("select type, subject, data from outbox order by id")
    told = [(row.type.split(".")[1], row.data["referral_id"] == row.subject) for row in rows]
    assert told == [
        ("enrolled", True),
        ("reward_due", True),
        ("reward_due", True),
        ("rejected", True),
        ("qualified", True),
        ("reward_due", True),
    ]
    assert rows[3].data["referee_id"] == rejected
    assert rows[3].data["reason"] == "unknown_code"
    assert rows[4].data["order_id"] == "SO-1"
    due = rows[5].data
    assert due | {"reward_id": "", "referral_id": ""} == {
        "reward_id": "",
        "referral_id": "",
        "stage": "first_order",
        "role": "referrer",
        "beneficiary_id": circle.referrer,
        "amount_fen": 5_000,
        "threshold_fen": 0,
        "validity_days": 90,
    }
