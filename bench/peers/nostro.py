"""hf-nostro: an append-only credit ledger with expiring lots, called through its AsyncLedger.

Earn is a credit that makes a lot with an expiry, redeem a debit that draws on the lots that lapse
first; both idempotent by key, with `metadata` of the size of an order. It locks the account, keeps
a balance after each entry by trigger, and knows no orders, growth, events or stored replies, and
no refusal for want of points: a debit may go below zero.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import uvloop
from nostro import AsyncLedger
from nostro.migrate import migrate
from psycopg_pool import AsyncConnectionPool

from bench.load import Load
from bench.peers.driving import NOTHING, PeerJob, drive, read_job, tell
from bench.requests import PAID_FEN, REDEEMED

#: As many connections as one process of ours has.
_POOL: Final = 10
_SCALE: Final = 0
_LOTS: Final = 3
_POINTS: Final = 10_000
_TENANT: Final = "bench"


async def run(job: PeerJob) -> Load:
    """Set up or measure."""
    if job.setting_up:
        await asyncio.to_thread(migrate, dsn=job.url, scale=_SCALE)
    async with AsyncConnectionPool(job.url, min_size=_POOL, max_size=_POOL, open=False) as pool:
        ledger = AsyncLedger(pool=pool, scale=_SCALE)
        if job.setting_up:
            await _fill(ledger, members=job.members)
            return NOTHING
        accounts = await _accounts(pool)
        return await drive(job, lambda number, key: _act(ledger, job, accounts[number], key))


async def _act(ledger: Any, job: PeerJob, account: UUID, key: str) -> None:
    if job.kind == "redeem":
        await ledger.debit(
            account,
            ledger.amount(REDEEMED),
            category="checkout",
            idempotency_key=key,
            external_ref=key,
        )
        return
    await ledger.credit(
        account,
        ledger.amount(PAID_FEN // 100),
        category="order",
        idempotency_key=key,
        external_ref=key,
        expires_at=datetime.now(UTC) + timedelta(days=365),
        metadata={"paid_fen": PAID_FEN, "channel": "mini_program", "discount_fen": 300},
    )


async def _fill(ledger: Any, *, members: int) -> None:
    """Members with lots that lapse at different times, eight at once, through its own API."""

    async def some(numbers: range) -> None:
        for number in numbers:
            account = await ledger.accounts.create(_TENANT, f"member-{number:06d}")
            for lot in range(_LOTS):
                await ledger.credit(
                    account,
                    ledger.amount(_POINTS),
                    category="order",
                    idempotency_key=f"fill-{number}-{lot}",
                    expires_at=datetime.now(UTC) + timedelta(days=100 * (lot + 1)),
                )

    await asyncio.gather(*(some(range(start, members, 8)) for start in range(8)))


async def _accounts(pool: Any) -> list[UUID]:
    """Our members' ids, so that a call costs no look-up."""
    async with pool.connection() as connection:
        found = await connection.execute("select id from nostro.account order by scope_ref")
        return [row[0] for row in await found.fetchall()]


def main() -> None:
    """Run as a program."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        tell(runner.run(run(read_job())))


if __name__ == "__main__":
    main()
