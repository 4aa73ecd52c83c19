"""Make a manager key: `python -m gateway.first_key`.

For whoever runs the product and so has access to the gateway's database (GATEWAY_DATABASE_URL).
It makes a new key each time: the way in when all keys are lost, too. The key stands alone on the
last line of standard output; all words for people go to standard error.
"""

import asyncio
import sys

from gateway.operations.api_keys import MadeKey, create_manager_key
from gateway.settings import FirstKeySettings
from gateway.store.api_keys import lock_keys
from shared.db import Database, Transaction
from shared.kernel.clock import SystemClock
from shared.kernel.texts import text

_ACTOR = "command:first_key"


def main() -> None:
    """Make the key and print it."""
    made, managers = asyncio.run(_make(FirstKeySettings()))
    for language in ("zh-CN", "en"):
        sys.stderr.write(text("first_key.made", language=language, facts={"id": made.facts.id}))
        sys.stderr.write("\n")
        if managers:
            sys.stderr.write(
                text("first_key.others", language=language, facts={"managers": managers})
            )
            sys.stderr.write("\n")
    sys.stderr.flush()
    sys.stdout.write(made.secret.text + "\n")


async def _make(settings: FirstKeySettings) -> tuple[MadeKey, int]:
    database = Database(
        settings.database_url.get_secret_value(), service="first-key", clock=SystemClock()
    )

    async def make(transaction: Transaction) -> tuple[MadeKey, int]:
        managers = [
            key
            for key in (await lock_keys(transaction.session, key_ids=[])).values()
            if key.manager and key.state(at=transaction.now) == "active"
        ]
        made = await create_manager_key(transaction, mode=settings.mode, name="first-key")
        return made, len(managers)

    try:
        return await database.run(make, actor=_ACTOR)
    finally:
        await database.close()


if __name__ == "__main__":
    main()
