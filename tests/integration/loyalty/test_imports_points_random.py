"""Random files with duplicates, sent in pieces, shuffled and again: as a plain sum would say."""

import random
from collections import defaultdict
from typing import Any

import pytest

from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.imports_points_world import (
    balance,
    counts,
    customer,
    imported,
    past,
    refusals,
)
from tests.integration.loyalty.people import everything, points_of
from tests.support.service import ServiceUnderTest, Starter

PEOPLE = [f"customer-{n}" for n in range(12)]
SPENDING = ("redeemed", "expired")


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


class Reference:
    """What the laws say of a file, with nothing but sums."""

    def __init__(self) -> None:
        self.total: dict[str, int] = defaultdict(int)
        self.known: dict[tuple[str, str], dict[str, Any]] = {}
        self.taken = self.repeated = 0
        self.refused: list[tuple[int, str]] = []

    def hear(self, number: int, line: dict[str, Any]) -> None:
        who, name = line["identity_value"], (line["identity_value"], line["reference"])
        if name in self.known:
            if self.known[name] == line:
                self.repeated += 1
            else:
                self.refused.append((number, "already_recorded_differently"))
            return
        change = -line["points"] if line["kind"] in SPENDING else line["points"]
        # Without pending points, what a member has is either available or owed.
        if line["kind"] != "balance" and change < 0 and self.total[who] < -change:
            self.refused.append((number, "insufficient_points"))
            return
        self.total[who] += change
        self.known[name] = line
        self.taken += 1


def _file(dice: random.Random, *, size: int) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for number in range(size):
        again = dice.random()
        if lines and again < 0.2:
            lines.append(dice.choice(lines))
        elif lines and again < 0.25:
            other = dice.choice(lines)
            lines.append({**other, "points": other["points"] + 1 or 1})
        else:
            lines.append(_line(dice, number))
    return lines


def _line(dice: random.Random, number: int) -> dict[str, Any]:
    kind = dice.choice(["balance", "earned", "redeemed", "expired", "adjusted"])
    points = dice.randint(1, 60)
    if kind in ("balance", "adjusted") and dice.random() < 0.4:
        points = -points
    make = balance if kind == "balance" else past
    given = {"identity_value": dice.choice(PEOPLE)}
    if make is balance:
        return balance(f"R-{number}", points, **given)
    return past(kind, f"R-{number}", points, **given)


async def _agree(loyalty: ServiceUnderTest, reference: Reference) -> None:
    for who, total in reference.total.items():
        expected = {"available": max(total, 0), "pending": 0, "held": 0, "debt": max(-total, 0)}
        assert await points_of(loyalty, await customer(loyalty, who)) == expected
    await audit(loyalty)


@pytest.mark.parametrize("seed", range(4))
async def test_any_file_does_what_its_sums_say(loyalty: ServiceUnderTest, seed: int) -> None:
    dice = random.Random(seed)
    reference = Reference()
    lines = _file(dice, size=1100)
    for number, line in enumerate(lines, start=1):
        reference.hear(number, line)

    ended = await imported(loyalty, lines)

    found = counts(ended)
    assert found == (reference.taken, reference.repeated, len(reference.refused))
    kept = await refusals(loyalty, ended["id"])
    assert [(line, code) for line, code, _ in kept] == reference.refused[:200]
    await _agree(loyalty, reference)


@pytest.mark.parametrize("seed", range(3))
async def test_opening_balances_in_any_order_and_any_number_of_times_are_their_sum(
    loyalty: ServiceUnderTest, seed: int
) -> None:
    dice = random.Random(seed)
    lines = [
        balance(f"R-{n}", dice.choice([-1, 1, 1]) * dice.randint(1, 60), identity_value=who)
        for n in range(300)
        for who in dice.sample(PEOPLE, 2)
    ]
    reference = Reference()
    for line in lines:
        reference.hear(0, line)

    for _ in range(3):
        part = dice.sample(lines, 2 * len(lines) // 3) * 2
        dice.shuffle(part)
        await imported(loyalty, part)
    await imported(loyalty, lines)

    await _agree(loyalty, reference)
    before = await everything(loyalty)
    await imported(loyalty, dice.sample(lines, len(lines)))
    assert await everything(loyalty) == before
