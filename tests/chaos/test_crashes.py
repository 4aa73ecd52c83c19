"""The whole system killed with -9 at random under load: every promise is kept, once."""

from collections import Counter
from pathlib import Path

from tests.chaos.crashes.rig import CrashRig, crash_rig
from tests.chaos.crashes.tampering import tamper, unseen
from tests.chaos.crashes.verdict import verdict
from tests.chaos.crashes.verdict_events import verdict_on_events

KILLS = 40
#: PostgreSQL is two victims: its first process, and one that serves a connection.
LEAST_OF_POSTGRES = 8


async def test_whatever_was_acknowledged_is_in_the_ledger_exactly_once_after_40_kills(
    tmp_path: Path,
) -> None:
    async with crash_rig(tmp_path) as rig:
        await rig.run(kills=KILLS)
        print(dict(rig.killer.killed), rig.journal.acknowledged, f"{rig.recovered_s:.1f} s")
        wrong = await whole_verdict(rig)
        assert not wrong, "\n".join(wrong)
        assert rig.killer.killed.total() == KILLS
        assert of_postgres(rig.killer.killed) >= LEAST_OF_POSTGRES

        # And a verdict that finds nothing must have looked: what bugs would leave is named.
        await tamper(rig)
        wrong = await whole_verdict(rig)
        assert unseen(wrong) == [], "\n".join(wrong)


async def whole_verdict(rig: CrashRig) -> list[str]:
    """Promises, books and logs."""
    return await verdict(rig) + await verdict_on_events(rig)


def of_postgres(killed: Counter[str]) -> int:
    """How often PostgreSQL was killed."""
    return killed["postgres"] + killed["postgres backend"]
