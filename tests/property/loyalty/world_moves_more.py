"""More that may happen in a world: among members, by operators, and once more."""

from datetime import timedelta
from typing import Final

from shared.http.tokens import Principal
from shared.kernel.clock import rfc3339
from tests.integration.loyalty.imports_points_world import balance, imported, past
from tests.property.loyalty.world import BY_NATURE, World
from tests.property.loyalty.world_moves import chosen, move, other, part_of, person
from tests.support.service import MANAGER

SECOND: Final = Principal(kind="api_key", id="secondkey")
POINTS: Final = (7, 60, 500, 6_000, 9_000, 12_000, -5, -90, -700, -11_000)
#: Two or three of these are all that a member may give on a day.
GIFTS: Final = (1, 60, 100, 110, 120, 150)
_PAST: Final = ("expired", "redeemed", "adjusted")
_DAYS: Final = (61, 67, 91, 180, 410)


def erased(world: World, who: str) -> bool:
    """Whether a member is erased."""
    return world.books.members[who].state == "erased"


@move(weight=4, who=3, to=7, given=len(GIFTS) - 1)
async def transfer(world: World, who: int, to: int, given: int) -> None:
    """One member gives points to another, mostly the one who did so before."""
    sent = [one.who for one in world.books.sent if world.books.members[one.who].state == "active"]
    sender = sent[-1] if sent and who < 2 else person(world, who)
    receiver = other(world, sender, to)
    points = GIFTS[given]
    await world.ask(
        "transfer_points",
        lambda body: world.books.transfer(sender, receiver, points, body.get("id", "")),
        member_id=sender, json={"to_member_id": receiver, "points": points},
        people=[sender, receiver],
    )  # fmt: skip


@move(who=7, points=len(POINTS) - 1)
async def adjust(world: World, who: int, points: int) -> None:
    """An operator gives or takes points, or asks for it."""
    member, given = person(world, who), POINTS[points]
    await world.ask(
        "adjust_points",
        lambda body: world.books.adjust(member, given, MANAGER.id, body.get("id", "")),
        member_id=member, json={"points": given, "reason": "补偿"}, people=[member],
    )  # fmt: skip


@move(lambda world: world.books.adjustments, pick=3, by=3, approve=2)
async def decide(world: World, pick: int, by: int, approve: int) -> None:
    """A second person decides, or the first one tries to."""
    name, one = chosen(list(world.books.adjustments.items()), pick)
    if erased(world, one.who):
        return
    decision, person_ = ("approve" if approve else "reject"), (SECOND if by else MANAGER)
    await world.ask(
        "decide_adjustment", lambda _: world.books.decide(name, decision, person_.id),
        adjustment_id=name, json={"decision": decision, "reason": "已核实"}, by=person_,
        people=[one.who],
    )  # fmt: skip


@move(lambda world: world.steps % 3 == 0, who=6, points=len(POINTS) - 1)
async def bring(world: World, who: int, points: int) -> None:
    """A balance of the system before is imported."""
    member, given = person(world, who), POINTS[points]
    if world.books.members[member].state == "active":
        line = balance(world.new_name("OLD"), given, identity_value=None, member_id=member)
        state = await imported(world.loyalty, [line])
        world.story.append(f"{rfc3339(world.now())} import of {given} for {member}")
        assert (state["movements"], state["refused"]) == (1, 0), state
        world.books.now = world.now()
        world.books.bring(member, given)
        await world.compare()


@move(lambda world: world.steps % 3 == 1, who=6, points=4, kind=2)
async def remember(world: World, who: int, points: int, kind: int) -> None:
    """What a member spent or let lapse in the system before is imported."""
    member, given, what = person(world, who), POINTS[points], _PAST[kind]
    if world.books.members[member].state != "active":
        return
    told = -given if what == "adjusted" else given
    line = past(what, world.new_name("OLD"), told, identity_value=None, member_id=member)
    state = await imported(world.loyalty, [line])
    world.story.append(f"{rfc3339(world.now())} import of {what} {told} for {member}")
    world.books.now = world.now()
    taken = world.books.remember(member, given, what == "expired") == "ok"
    assert (state["movements"], state["refused"]) == (taken, not taken), state
    await world.compare()


@move(lambda world: world.steps % 2 == 0, weight=2, who=7, source=7)
async def merge(world: World, who: int, source: int) -> None:
    """Two members are found to be one person."""
    member = person(world, who)
    found = other(world, member, source)
    await world.ask(
        "merge_members", lambda body: world.books.unite(member, found, body.get("id", "")),
        member_id=member, json={"source_member_id": found, "reason": "同一手机号"},
        people=[member, found],
    )  # fmt: skip
    if sum(one.state == "active" for one in world.books.members.values()) < 3:
        await world.enrol()


@move(lambda world: world.books.merges, weight=2, pick=3)
async def part(world: World, pick: int) -> None:
    """A merge is taken back, mostly one that was not before."""
    merges = list(world.books.merges.items())
    name, merge = chosen([one for one in merges if not one[1].over or pick == 3] or merges, pick)
    if not erased(world, merge.who):
        await world.ask(
            "reverse_merge", lambda _: world.books.separate(name), merge_id=name,
            json={"reason": "误合并，实为母女"}, people=[merge.who, merge.source],
        )  # fmt: skip


@move(lambda world: world.steps % 5 == 0, who=6)
async def erase(world: World, who: int) -> None:
    """A member is erased, with whoever was merged into them; somebody new comes."""
    member = person(world, who)
    if world.books.members[member].state == "active":
        await world.ask(
            "erase_member",
            lambda _: world.books.forget(member),
            member_id=member,
            people=world.people,
        )
        # What told of a person is answered otherwise from now on.
        gone = {who for who in world.people if erased(world, who)}
        world.requests = [one for one in world.requests if not one.people & gone]
        await world.enrol()


@move(who=7, days=len(_DAYS) - 1)
async def extend(world: World, who: int, days: int) -> None:
    """An operator makes lots good for longer."""
    member, until = person(world, who), world.now() + timedelta(days=_DAYS[days])
    given = {"expires_at": rfc3339(until.replace(microsecond=0)), "reason": "门店装修"}
    await world.ask(
        "extend_lots", lambda _: world.books.extend(member, until), member_id=member, json=given,
        people=[member],
    )  # fmt: skip


@move(lambda world: any(one.lots for one in world.books.members.values()), who=7, pick=4, share=5)
async def reinstate(world: World, who: int, pick: int, share: int) -> None:
    """Lapsed points are given back: some, all (0 says so without a number), or more."""
    member = person(world, who)
    books = world.books.members[member]
    lots = [name for name, lot in books.lots.items() if lot.lapsed] or list(books.lots)
    if not lots:
        return
    lot = chosen(lots, pick)
    points = part_of(books.lots[lot].lapsed, share) if share else None
    given = {"lot_id": lot, "reason": "住院"} | ({"points": points} if points else {})
    await world.ask(
        "reinstate_points", lambda _: world.books.reinstate(member, lot, points),
        member_id=member, json=given, people=[member],
    )  # fmt: skip


@move(lambda world: any(not one.delivered for one in world.books.notices), pick=4)
async def deliver(world: World, pick: int) -> None:
    """A notice reaches its member, in time or not."""
    notice = chosen([one for one in world.books.notices if not one.delivered], pick)
    if not erased(world, notice.who):
        given = {"channel": "sms", "delivered_at": rfc3339(world.now()), "receipt": "r"}
        await world.ask(
            "confirm_notice_delivery", lambda _: world.books.deliver(notice), json=given,
            notice_id=notice.id, people=[notice.who],
        )  # fmt: skip


@move(lambda world: world.requests, pick=40)
async def repeat(world: World, pick: int) -> None:
    """An earlier request is made again, with its key."""
    await world.again(chosen(world.requests, pick))


@move(lambda world: any(one.operation in BY_NATURE for one in world.requests), pick=10)
async def tell_again(world: World, pick: int) -> None:
    """What counts once by its own id is told again, with another key."""
    told = [one for one in world.requests if one.operation in BY_NATURE and one.status < 300]
    if told:
        one = chosen(told, pick)
        await world.ask(one.operation, lambda _: "ok", people=one.people, by=one.by, **one.given)
