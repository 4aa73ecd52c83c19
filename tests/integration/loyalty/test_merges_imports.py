"""Files of points that are sent again after their members were merged, or parted again."""

from datetime import timedelta

import pytest

from tests.integration.loyalty.audit import audit
from tests.integration.loyalty.imports_points_world import balance, counts, customer, imported
from tests.integration.loyalty.members_world import merge, part
from tests.integration.loyalty.people import points_of
from tests.support.service import ServiceUnderTest, Starter

SOURCE, TARGET = "customer-7", "customer-8"


@pytest.fixture
async def loyalty(start: Starter) -> ServiceUnderTest:
    return await start("loyalty")


async def pair(loyalty: ServiceUnderTest) -> tuple[str, str]:
    """The source and the target, with an imported balance each."""
    await imported(loyalty, [balance("A", 5), balance("B", 7, identity_value=TARGET)])
    return await customer(loyalty, SOURCE), await customer(loyalty, TARGET)


async def test_a_file_sent_again_after_a_merge_is_known_under_the_survivor(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await pair(loyalty)
    await merge(loyalty, target, source)

    again = await imported(
        loyalty, [balance("A", 5), balance("B", 7, identity_value=TARGET), balance("C", 1)]
    )

    assert counts(again) == (1, 2, 0)
    assert (await points_of(loyalty, target))["available"] == 13
    await audit(loyalty)


async def test_what_was_posted_while_they_were_merged_is_not_posted_again_after_the_reversal(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await pair(loyalty)
    made = await merge(loyalty, target, source)
    await imported(loyalty, [balance("C", 100)])
    await part(loyalty, made["id"])

    again = await imported(loyalty, [balance("A", 5), balance("C", 100), balance("D", 1)])
    other = await imported(loyalty, [balance("C", 99)])

    assert counts(again) == (1, 2, 0)
    assert counts(other) == (0, 0, 1), "its facts are still compared"
    assert (await points_of(loyalty, source))["available"] == 6
    assert (await points_of(loyalty, target))["available"] == 107
    await audit(loyalty)


async def test_what_the_target_alone_got_before_or_after_says_nothing_of_the_source(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await pair(loyalty)
    loyalty.clock.advance(timedelta(seconds=1))
    made = await merge(loyalty, target, source)
    await part(loyalty, made["id"])
    loyalty.clock.advance(timedelta(seconds=1))
    await imported(loyalty, [balance("E", 3, identity_value=TARGET)])

    again = await imported(loyalty, [balance("B", 7), balance("E", 3)])

    assert counts(again) == (2, 0, 0)
    assert (await points_of(loyalty, source))["available"] == 15


async def test_a_chain_of_merges_taken_back_still_knows_the_line(
    loyalty: ServiceUnderTest,
) -> None:
    source, target = await pair(loyalty)
    await imported(loyalty, [balance("X", 1, identity_value="customer-9")])
    last = await customer(loyalty, "customer-9")
    first = await merge(loyalty, target, source)
    second = await merge(loyalty, last, target)
    await imported(loyalty, [balance("C", 100)])
    await part(loyalty, second["id"])
    await part(loyalty, first["id"])

    again = await imported(loyalty, [balance("C", 100)])

    assert counts(again) == (0, 1, 0)
    assert (await points_of(loyalty, source))["available"] == 5
    await audit(loyalty)
