"""Making and revoking API keys. Nobody gives or takes what goes beyond what they have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.api_keys import ALL_SCOPES, KeyFacts, KeySecret, Mode, new_key
from gateway.store.api_keys import insert_key, lock_keys, mark_revoked
from shared.contracts.gateway import ApiKeyCreated, ApiKeyRevoked
from shared.db import Transaction
from shared.kernel.errors import InvalidField, NotFound, Refusal, RefusalKind


class ScopeNotYours(Refusal):
    """A key cannot give scopes that it does not have."""

    code = "scope_not_yours"
    kind = RefusalKind.forbidden


class KeyBeyondYours(Refusal):
    """A key cannot revoke one that may do more than itself."""

    code = "key_beyond_yours"
    kind = RefusalKind.forbidden


class LastManagerKey(Refusal):
    """Without a manager key nobody could make another key."""

    code = "last_manager_key"


@dataclass(frozen=True, kw_only=True)
class MadeKey:
    """A new key: what is kept of it, and the secret that its owner sees once."""

    facts: KeyFacts
    secret: KeySecret


async def create_api_key(
    transaction: Transaction,
    *,
    caller_id: str,
    mode: Mode,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None,
) -> MadeKey:
    """Make a key on behalf of another one. Raises ScopeNotYours and InvalidField."""
    if expires_at is not None and expires_at <= transaction.now:
        raise InvalidField(pointer="/expires_at", reason="moment_not_future")
    caller = _caller(await lock_keys(transaction.session, key_ids=[caller_id]), caller_id)
    beyond = caller.beyond(scopes)
    if beyond:
        raise ScopeNotYours(scopes=", ".join(beyond))
    return await _make(
        transaction, mode=mode, name=name, scopes=sorted(set(scopes)), expires_at=expires_at
    )


async def create_manager_key(transaction: Transaction, *, mode: Mode, name: str) -> MadeKey:
    """Make a manager key, for whoever has access to the database itself."""
    return await _make(transaction, mode=mode, name=name, scopes=[ALL_SCOPES], expires_at=None)


async def revoke_api_key(transaction: Transaction, *, caller_id: str, key_id: str) -> None:
    """End a key; ending it again changes nothing.

    Raises NotFound, KeyBeyondYours and LastManagerKey.
    """
    keys = await lock_keys(transaction.session, key_ids=[caller_id, key_id])
    key = keys.get(key_id)
    if key is None:
        raise NotFound
    if _caller(keys, caller_id).beyond(key.scopes):
        raise KeyBeyondYours
    if key.revoked_at is not None:
        return
    if key.manager and not _another_manager(keys, key_id, at=transaction.now):
        raise LastManagerKey
    await mark_revoked(
        transaction.session, key_id=key_id, revoked_by=transaction.actor, at=transaction.now
    )
    revoked = ApiKeyRevoked(key_id=key_id, revoked_by=transaction.actor)
    transaction.record(revoked, subject=key_id)


async def _make(
    transaction: Transaction,
    *,
    mode: Mode,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None,
) -> MadeKey:
    secret = new_key(mode=mode)
    facts = await insert_key(
        transaction.session,
        key=secret,
        name=name,
        scopes=scopes,
        created_by=transaction.actor,
        created_at=transaction.now,
        expires_at=expires_at,
    )
    created = ApiKeyCreated(key_id=facts.id, scopes=list(scopes), created_by=transaction.actor)
    transaction.record(created, subject=facts.id)
    return MadeKey(facts=facts, secret=secret)


def _caller(keys: Mapping[str, KeyFacts], caller_id: str) -> KeyFacts:
    caller = keys.get(caller_id)
    if caller is None:
        raise NotFound
    return caller


def _another_manager(keys: Mapping[str, KeyFacts], key_id: str, *, at: datetime) -> bool:
    return any(
        key.manager and key.id != key_id and key.state(at=at) == "active" for key in keys.values()
    )
