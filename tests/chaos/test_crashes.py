"""The whole system killed with -9 at random under load: every promise is kept, once."""

from pathlib import Path

from tests.chaos.crashes.rig import crash_rig
from tests.chaos.crashes.verdict import verdict
from tests.chaos.crashes.verdict_events import verdict_on_events

KILLS = 25
#: PostgreSQL is two victims: its first process, and one that serves a connection.
LEAST_OF_POSTGRES = 8


async def test_whatever_was_acknowledged_is_in_the_ledger_exactly_once_after_40_kills(
    tmp_path: Path,
) -> None:
    async with crash_rig(tmp_path) as rig:
        await rig.run(kills=KILLS)
        print(rig.killer.killed, rig.journal.acknowledged, f"{rig.recovered_s:.1f} s")
        wrong = await verdict(rig) + await verdict_on_events(rig)
        assert not wrong, "\n".join(wrong)
        assert rig.killer.killed.total() == KILLS
