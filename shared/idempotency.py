"""The rows of idempotency keys, written in the transaction of what they stand for (ADR 0004)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.kernel.errors import Refusal, RefusalKind
from shared.lanes import Connection
from shared.records_sql import Column, as_records, recordset


class IdempotencyKeyMissing(Refusal):
    """The operation moves value, so the caller must be able to repeat it safely."""

    code = "idempotency_key_missing"
    kind = RefusalKind.malformed


class IdempotencyKeyReused(Refusal):
    """The key was used before, with another body."""

    code = "idempotency_key_reused"
    kind = RefusalKind.invalid


class IdempotencyInFlight(Refusal):
    """The first request with this key is still at work."""

    code = "idempotency_in_flight"


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A caller's key for one operation, and what the request with it looked like."""

    scope: str
    key: str
    fingerprint: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A reply as it is kept and sent."""

    status: int
    body: bytes
    media_type: str = "application/json"


_KEPT: Final[Sequence[Column[tuple[Claim, Stored, datetime]]]] = [
    ("scope", "text", lambda one: one[0].scope),
    ("key", "text", lambda one: one[0].key),
    ("fingerprint", "bytea", lambda one: one[0].fingerprint),
    ("status", "smallint", lambda one: one[1].status),
    ("media_type", "text", lambda one: one[1].media_type),
    ("body", "text", lambda one: one[1].body.decode()),
    ("created_at", "timestamptz", lambda one: one[2]),
]

_CLAIM: Final = """
    insert into idempotency_keys (scope, key, fingerprint, created_at)
    select scope, key, fingerprint, $4
    from unnest($1::text[], $2::text[], $3::bytea[]) as given(scope, key, fingerprint)
    order by scope, key
    on conflict do nothing returning scope, key
"""
_FIND: Final = """
    select scope, key, fingerprint, status, media_type, body
    from unnest($1::text[], $2::text[]) as given(scope, key)
    join idempotency_keys using (scope, key)
"""


def keep_replies(placeholder: str) -> str:
    """SQL that keeps the replies of `kept_rows`.

    A key with a reply already is not touched and not returned: the caller must count.
    """
    return f"""
        insert into idempotency_keys
          (scope, key, fingerprint, status, media_type, body, created_at)
        select scope, key, fingerprint, status, media_type, convert_to(body, 'UTF8'), created_at
        from {recordset(placeholder, _KEPT)}
        on conflict (scope, key) do update set status = excluded.status,
          media_type = excluded.media_type, body = excluded.body
        where idempotency_keys.status is null
        returning 1
    """  # noqa: S608 - placeholders only


def kept_rows(replies: Sequence[tuple[Claim, Stored]], *, now: datetime) -> str:
    """The argument of `keep_replies`, sorted so that two batches cannot wait in a ring."""
    ordered = sorted(replies, key=lambda one: (one[0].scope, one[0].key))
    return as_records(_KEPT, [(claim, stored, now) for claim, stored in ordered])


async def claim_keys(
    connection: Connection, claims: Sequence[Claim], *, now: datetime
) -> set[tuple[str, str]]:
    """Make keys ours until commit, as far as they are free; waits for whoever is at work on one."""
    rows = await connection.fetch(
        _CLAIM,
        [claim.scope for claim in claims],
        [claim.key for claim in claims],
        [claim.fingerprint for claim in claims],
        now,
    )
    return {(row["scope"], row["key"]) for row in rows}


async def find_replies(
    connection: Connection, claims: Sequence[Claim]
) -> dict[tuple[str, str], tuple[bytes, Stored]]:
    """The fingerprints and replies on record under keys that have one."""
    rows = await connection.fetch(
        _FIND, [claim.scope for claim in claims], [claim.key for claim in claims]
    )
    return {
        (row["scope"], row["key"]): (
            row["fingerprint"],
            Stored(status=row["status"], media_type=row["media_type"], body=row["body"]),
        )
        for row in rows
        if row["status"] is not None
    }
