"""Laws of orders: the end depends on the set of facts, not on their order, number or split."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.loyalty.domain.programme import Programme, earned_growth, earned_points
from tests.property.loyalty.order_world import (
    CANCELLATION,
    LONG_AGO,
    World,
    order_facts,
    refund_facts,
)
from tests.unit.loyalty.domain.programmes import RULES, programme

PIECES = 9


@dataclass(frozen=True)
class Story:
    """A member with lots, an order partly paid with points, and how much of it goes back."""

    programme: Programme
    paid_fen: int
    discount_fen: int
    #: Points and days until they lapse, of the lots that there are before the order.
    lots: list[tuple[int, int | None]]
    #: Of the available points, in thousandths: spent on the order, and owed of another.
    spent_permille: int
    owed: int
    split: list[int]
    by_line: list[bool]
    cancelled: bool
    completed: bool

    @property
    def refunded_fen(self) -> int:
        return self.paid_fen if self.cancelled else sum(self.split)

    def world(self) -> World:
        """The member when the order has been placed and nothing was reported yet."""
        world = World(programme=self.programme)
        for number, (points, days) in enumerate(self.lots):
            world.earn(f"SO-B{number}", points, lapses_in_days=days)
        world.pay_with(world.account.balances.available * self.spent_permille // 1000)
        world.owe(self.owed)
        return world


@st.composite
def stories(draw: st.DrawFn) -> Story:
    paid_fen = draw(st.integers(1, 3_000) | st.integers(1, 300_000))
    refunded_fen = draw(st.integers(0, paid_fen) | st.just(paid_fen))
    cuts = draw(st.lists(st.integers(1, max(1, refunded_fen)), max_size=3, unique=True))
    edges = [0, *sorted(cut for cut in cuts if cut < refunded_fen), refunded_fen]
    split = [high - low for low, high in pairwise(edges) if high > low]
    points = {
        **RULES["points"],
        "earn_on": draw(st.sampled_from(["cash", "gross"])),
        "pending": draw(st.sampled_from(["completion", "payment"])),
        "per_yuan": draw(st.sampled_from([1, 7, 100])),
        "hold_days": draw(st.sampled_from([0, 7])),
    }
    return Story(
        programme=programme(points=points),
        paid_fen=paid_fen,
        discount_fen=draw(st.sampled_from([0, 1, 999, 5_000])),
        lots=draw(
            st.lists(
                st.tuples(st.integers(1, 60), st.none() | st.integers(-5, 400)),
                max_size=4,
            )
        ),
        spent_permille=draw(st.sampled_from([0, 300, 1000]) | st.integers(0, 1000)),
        owed=draw(st.sampled_from([0, 0, 5, 50])),
        split=split,
        by_line=[draw(st.booleans()) for _ in split],
        cancelled=draw(st.booleans()),
        completed=draw(st.booleans()),
    )


def facts_of(story: Story, world: World) -> dict[str, Callable[[], None]]:
    """Each fact by its name, and how it is reported."""
    order = order_facts(paid_fen=story.paid_fen, discount_fen=story.discount_fen, pieces=PIECES)
    facts: dict[str, Callable[[], None]] = {"order": lambda: world.hear_order(order)}
    for number, (amount_fen, by_line) in enumerate(zip(story.split, story.by_line, strict=True)):
        refund = refund_facts(number, amount_fen, by_line=by_line)
        facts[f"refund {number}"] = lambda refund=refund: world.hear_refund(refund)  # type: ignore[misc]
    if story.cancelled:
        facts["cancellation"] = lambda: world.hear_cancellation(CANCELLATION)
    if story.completed:
        facts["completion"] = lambda: world.hear_completion(LONG_AGO)
    return facts


def at_once(story: Story, *, spent_after: int = 0) -> Any:
    """The end when the order comes, is received, and everything goes back in one piece."""
    world = story.world()
    world.hear_order(
        order_facts(paid_fen=story.paid_fen, discount_fen=story.discount_fen, pieces=PIECES)
    )
    if story.completed:
        world.hear_completion(LONG_AGO)
    world.spend(world.account.balances.available * spent_after // 1000)
    if story.cancelled:
        world.hear_cancellation(CANCELLATION)
    elif story.refunded_fen:
        world.hear_refund(refund_facts(0, story.refunded_fen))
    return world.end()


@settings(max_examples=400, deadline=None)
@given(story=stories(), data=st.data())
def test_facts_in_any_order_any_number_of_times_end_in_the_same_state(
    story: Story, data: st.DataObject
) -> None:
    world = story.world()
    facts = facts_of(story, world)
    twice = data.draw(st.lists(st.sampled_from(sorted(facts)), max_size=4), label="twice")
    for name in data.draw(st.permutations([*facts, *twice]), label="arrivals"):
        facts[name]()
    assert world.end() == at_once(story)


@settings(max_examples=400, deadline=None)
@given(story=stories(), data=st.data(), spent_after=st.integers(0, 1000))
def test_however_a_refund_is_split_after_points_were_spent_the_end_is_the_same(
    story: Story, data: st.DataObject, spent_after: int
) -> None:
    world = story.world()
    facts = facts_of(story, world)
    facts.pop("order")()
    if story.completed:
        facts.pop("completion")()
    world.spend(world.account.balances.available * spent_after // 1000)
    for name in data.draw(st.permutations(sorted(facts)), label="arrivals"):
        facts[name]()
    assert world.end() == at_once(story, spent_after=spent_after)


@settings(max_examples=200, deadline=None)
@given(story=stories(), data=st.data())
def test_what_is_kept_is_the_closed_form(story: Story, data: st.DataObject) -> None:
    world = story.world()
    spendable = world.account.balances.available
    facts = facts_of(story, world)
    for name in data.draw(st.permutations(sorted(facts)), label="arrivals"):
        facts[name]()
    kept_fen = story.paid_fen - story.refunded_fen
    basis_fen = kept_fen
    if story.programme.orders.earn_on == "gross":
        basis_fen = (story.paid_fen + story.discount_fen) * kept_fen // story.paid_fen
    earned = earned_points(
        paid_fen=basis_fen,
        points_per_yuan=story.programme.points_per_yuan,
        multiplier_percent=100,
    )
    returned = world.redeemed * story.refunded_fen // story.paid_fen
    assert world.returned == returned
    assert world.account.balances.total == spendable + earned + returned - story.owed
    assert world.standing is not None
    assert world.standing.growth == earned_growth(paid_fen=kept_fen, growth_per_yuan=1)
