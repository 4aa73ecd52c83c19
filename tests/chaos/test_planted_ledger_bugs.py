"""Each planted bug is seen by the test that is there to see it: a suite that catches nothing is
no suite. `docs/correctness.md` publishes this table.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import pytest

from tests.chaos import planted_ledger_bugs as bugs
from tests.chaos import planted_rule_bugs as rules
from tests.integration.loyalty import (
    test_cancellations,
    test_completion_batches,
    test_expiries,
    test_holds,
    test_points,
    test_refund_races,
    test_refunds,
    test_rewards,
    test_transfers,
    test_vouchers_issue,
)
from tests.integration.shared import test_writes
from tests.integration.shared.small_service import SmallStarter
from tests.servers import Servers
from tests.support.databases import Databases
from tests.support.service import Starter


@pytest.fixture
async def start_small(servers: Servers, databases: Databases) -> AsyncIterator[SmallStarter]:
    async with AsyncExitStack() as stack:
        yield SmallStarter(databases=databases, redis_url=servers.redis_url(3), stack=stack)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table: the bug, and the law of the product whose test sees it."""

    bug: Callable[[pytest.MonkeyPatch, bugs.Planted], Awaitable[None]]
    seen_by: Callable[..., Awaitable[None]]
    #: The service in which the test runs: loyalty, or the small one with one of its two doors.
    where: Literal["loyalty", "loyalty and replicas", "bump", "bump_hot"] = "loyalty"
    #: How often the test is given its chance, where a bug needs two to meet at the wrong moment.
    rounds: int = 1


TABLE = [
    Row(
        bug=bugs.check_then_write,
        seen_by=test_points.test_of_100_simultaneous_redemptions_of_a_balance_for_one_exactly_one_succeeds,
        where="loyalty and replicas",
    ),
    Row(
        bug=bugs.refund_of_a_stale_order,
        seen_by=test_refund_races.test_an_overtaken_batch_leaves_no_refund_out,
    ),
    Row(
        bug=bugs.order_changed_unheld,
        seen_by=partial(
            test_refund_races.test_a_refund_and_another_change_that_meet_at_the_account_both_count,
            other=test_refund_races.cancelling,
            refund_first=True,
        ),
    ),
    Row(
        bug=bugs.order_completed_unheld,
        seen_by=partial(
            test_completion_batches.test_a_completion_and_a_cancellation_that_meet_at_the_account_both_count,
            completion_first=True,
        ),
    ),
    Row(
        bug=bugs.stale_read_unrefused,
        seen_by=test_writes.test_a_repetition_gets_the_first_reply_byte_for_byte,
        where="bump_hot",
    ),
    Row(
        bug=bugs.account_not_locked,
        seen_by=test_transfers.test_of_simultaneous_transfers_exactly_what_is_there_arrives,
    ),
    Row(
        bug=bugs.locks_in_any_order,
        seen_by=test_transfers.test_opposite_transfers_at_once_never_stand_in_each_others_way,
        rounds=10,
    ),
    Row(
        bug=bugs.reply_kept_in_another_transaction,
        seen_by=test_writes.test_a_commit_that_fails_keeps_no_reply,
        where="bump",
    ),
    Row(
        bug=bugs.replay_executes_again,
        seen_by=test_writes.test_a_repetition_gets_the_first_reply_byte_for_byte,
        where="bump",
    ),
    Row(
        bug=bugs.new_key_for_each_attempt,
        seen_by=test_points.test_the_same_key_100_times_at_once_has_one_effect_and_100_equal_replies,
        where="loyalty and replicas",
    ),
    Row(
        bug=bugs.acknowledged_before_commit,
        seen_by=test_writes.test_a_commit_that_fails_keeps_no_reply,
        where="bump_hot",
    ),
    Row(
        bug=bugs.event_outside_the_transaction,
        seen_by=test_writes.test_a_commit_that_fails_keeps_no_reply,
        where="bump",
    ),
    Row(
        bug=bugs.lot_update_lost,
        seen_by=test_cancellations.test_a_cancelled_redemption_leaves_the_lots_as_they_were,
    ),
    Row(
        bug=bugs.balance_without_an_entry,
        seen_by=test_cancellations.test_points_given_back_repay_debt_first,
    ),
    Row(
        bug=rules.refund_counts_again,
        seen_by=test_refunds.test_a_refund_counts_once_whatever_the_key,
        where="loyalty and replicas",
    ),
    Row(
        bug=rules.cancelling_restores_again,
        seen_by=test_cancellations.test_cancelling_twice_gives_back_once_and_answers_alike,
    ),
    Row(
        bug=rules.captured_after_release,
        seen_by=test_holds.test_captured_or_released_once_more_changes_nothing_and_answers_alike,
    ),
    Row(
        bug=rules.hold_ends_when_the_job_comes_by,
        seen_by=test_holds.test_a_hold_past_its_time_cannot_be_captured_whether_or_not_the_job_has_come_by,
    ),
    Row(
        bug=rules.days_of_utc,
        seen_by=test_expiries.test_points_lapse_at_the_end_of_their_last_day_in_shanghai_once_the_member_was_told,
    ),
    Row(
        bug=rules.reward_issued_again,
        seen_by=test_rewards.test_a_repeated_reward_is_issued_once,
    ),
    Row(
        bug=rules.stock_checked_then_taken,
        seen_by=test_vouchers_issue.test_stock_is_never_oversold_whatever_the_concurrency,
    ),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.bug.__name__)
async def test_the_planted_bug_is_seen(
    row: Row, start: Starter, start_small: SmallStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    service: Any
    if row.where.startswith("loyalty"):
        service = await start("loyalty")
    else:
        service = await start_small()
        service.bumping = row.where
    await row.bug(monkeypatch, service)
    others = [start] if row.where == "loyalty and replicas" else []
    for _ in range(row.rounds):
        try:
            await row.seen_by(service, *others)
        except (AssertionError, KeyError):
            # A KeyError: there was no problem document where a refusal should have been.
            return
    pytest.fail(f"{row.bug.__name__} was not seen")
