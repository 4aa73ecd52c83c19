"""Who calls: a key's text to the key, remembered for a few seconds."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from gateway.domain.api_keys import KeyFacts, Mode, read_key
from gateway.store.api_keys import USE_NOTED_EVERY, StoredKey, find_key, note_use
from shared.db import Database, Transaction
from shared.http.tokens import Principal, Unauthenticated

_log = structlog.get_logger()

#: How long a revocation may take to reach another process of the gateway. In the process that
#: revoked it takes effect at once.
REMEMBERED_S: Final = 5.0
#: How many keys are remembered, unknown ones included, so that a flood of them fills no memory.
REMEMBERED_MAX: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who calls, proven."""

    key: KeyFacts
    principal: Principal
    scopes: frozenset[str]


@dataclass(slots=True)
class _Remembered:
    stored: StoredKey | None
    caller: Caller | None
    until: float
    use_noted_at: datetime | None


class KeyRing:
    """Authenticates callers by their keys."""

    def __init__(self, *, database: Database, mode: Mode) -> None:
        self._database = database
        self._mode = mode
        self._known: OrderedDict[str, _Remembered] = OrderedDict()
        self._looking: dict[str, asyncio.Task[_Remembered]] = {}
        self._notes: set[asyncio.Task[None]] = set()

    async def authenticate(self, text: str) -> Caller:
        """The caller behind a key. Raises Unauthenticated: mistyped, unknown, revoked, expired."""
        key = read_key(text, mode=self._mode)
        if key is None:
            raise Unauthenticated
        known = self._known.get(key.id)
        if known is None or known.until <= asyncio.get_running_loop().time():
            known = await self._look_up(key.id)
        if (
            known.stored is None
            or known.caller is None
            or not key.is_that_of(known.stored.secret_hash)
        ):
            raise Unauthenticated
        now = self._database.clock.now()
        if known.caller.key.state(at=now) != "active":
            raise Unauthenticated
        if known.use_noted_at is None or now - known.use_noted_at >= USE_NOTED_EVERY:
            self._note_use(key.id, known, now)
        return known.caller

    def forget(self, key_id: str) -> None:
        """Ask the database about this key at its next use, whatever is being asked now."""
        self._known.pop(key_id, None)
        self._looking.pop(key_id, None)

    async def close(self) -> None:
        """Wait for what is still being written."""
        if self._notes:
            await asyncio.wait(self._notes, timeout=1)

    async def _look_up(self, key_id: str) -> _Remembered:
        """One question to the database, however many requests with this key came together."""
        looking = self._looking.get(key_id)
        if looking is None:
            looking = asyncio.create_task(self._find(key_id))
            self._looking[key_id] = looking
            looking.add_done_callback(lambda done: self._remember(key_id, done))
        # A caller who goes away must not end the look-up that others wait for.
        return await asyncio.shield(looking)

    async def _find(self, key_id: str) -> _Remembered:
        asked_at = asyncio.get_running_loop().time()
        async with self._database.reading() as session:
            stored = await find_key(session, key_id=key_id)
        caller = _caller(stored.facts) if stored is not None else None
        return _Remembered(
            stored=stored,
            caller=caller,
            until=asked_at + REMEMBERED_S,
            use_noted_at=stored.facts.last_used_at if stored is not None else None,
        )

    def _remember(self, key_id: str, done: asyncio.Task[_Remembered]) -> None:
        # Forgotten meanwhile: then what it found may already be untrue.
        failed = done.cancelled() or done.exception() is not None
        if self._looking.get(key_id) is not done:
            return
        del self._looking[key_id]
        if failed:
            return
        self._known[key_id] = done.result()
        self._known.move_to_end(key_id)
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)

    def _note_use(self, key_id: str, known: _Remembered, now: datetime) -> None:
        known.use_noted_at = now
        note = asyncio.create_task(self._write_use(key_id, now))
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)

    async def _write_use(self, key_id: str, at: datetime) -> None:
        async def write(transaction: Transaction) -> None:
            await note_use(transaction.session, key_id=key_id, at=at)

        try:
            await self._database.run(write, actor="gateway")
        except Exception as error:  # the caller is served whether or not this is on record
            _log.warning("use of a key not noted", error=type(error).__name__)


def _caller(facts: KeyFacts) -> Caller:
    principal = Principal(kind="api_key", id=facts.id)
    return Caller(key=facts, principal=principal, scopes=facts.granted)
