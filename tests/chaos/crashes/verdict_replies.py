"""The verdict on replies: each stands under its key, and whoever asks again gets it again."""

import random
from typing import Final

from tests.chaos.crashes.books import Books
from tests.chaos.crashes.journal import Journal
from tests.chaos.crashes.rig import CrashRig

_REPLAYED: Final = 300


async def verdict_on_replies(rig: CrashRig) -> list[str]:
    """All that is wrong with the rows of the keys, and with a sample of replays."""
    return await _replies(rig.journal, rig.loyalty) + await _replays(rig)


async def _replies(journal: Journal, loyalty: Books) -> list[str]:
    """Every acknowledged reply stands under its key, byte for byte; no key has none."""
    rows = await loyalty.rows("select key, status, body from idempotency_keys")
    kept = {row.key: row for row in rows}
    wrong = [f"key {row.key} was claimed and has no reply" for row in rows if row.status is None]
    for one in journal.asked:
        if one.status is not None:
            row = kept.get(one.id)
            if row is None or (row.status, bytes(row.body)) != (one.status, one.reply):
                wrong.append(f"{one.kind} {one.id}: told {one.reply!r}, kept {row}")
    return wrong


async def _replays(rig: CrashRig) -> list[str]:
    """A request sent again, long after, gets its first reply, and nothing is done."""
    acknowledged = [one for one in rig.journal.asked if one.status is not None]
    wrong = []
    entries = "select count(*) from point_entries"
    before = await rig.loyalty.scalar(entries)
    for one in random.sample(acknowledged, min(_REPLAYED, len(acknowledged))):
        answer = await rig.caller.again(one)
        same = (answer.status_code, answer.content) == (one.status, one.reply)
        if not same or answer.headers.get("Idempotency-Replayed") != "true":
            wrong.append(f"{one.kind} {one.id} sent again: {answer.status_code} {answer.text}")
    released = "select count(*) from point_entries where kind in ('released', 'repaid')"
    if (gained := await rig.loyalty.scalar(entries) - before) and not await rig.loyalty.scalar(
        released
    ):
        wrong.append(f"replays wrote {gained} entries")
    return wrong
