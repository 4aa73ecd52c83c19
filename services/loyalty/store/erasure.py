"""Erasing what is personal about a member; what identified them stays as keyed hashes of nobody.

Every table that belongs to a member stands in ERASED or in KEPT; a test compares both with the
tables there are, so that a new one cannot be forgotten.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.members import GivenIdentity
from services.loyalty.store.tables import Member, Reservation, Voucher
from services.loyalty.store.vault import Vault
from shared.sql import execute

#: Table → what becomes of the rows of a member who is erased. All run with :member_ids. The last
#: is about kept replies: one given again under its key must not tell what was erased, so it says
#: that nobody is there. It stays last: the others wait for who is writing about the member, and
#: only what comes after them sees the replies that those noted.
ERASED: Final[Mapping[str, str]] = {
    "identities": "delete from identities where member_id = any(:member_ids)",
    "orders": (
        "update orders set device_id = null, payer_hash = null where member_id = any(:member_ids)"
    ),
    "redemptions": (
        "update redemptions set state = 'released', closed_at = :now"
        " where member_id = any(:member_ids) and state = 'held'"
    ),
    "tier_changes": ("update tier_changes set reason = null where member_id = any(:member_ids)"),
    "member_merges": (
        "update member_merges set reason = null, reversal_reason = null, filled = '{}'"
        " where member_id = any(:member_ids) or source_member_id = any(:member_ids)"
    ),
    "member_merge_moves": "delete from member_merge_moves where member_id = any(:member_ids)",
    # One that just missed its order has no member yet.
    "order_cancellations": (
        "update order_cancellations set reason = null where member_id = any(:member_ids)"
        " or order_id in (select order_id from orders where member_id = any(:member_ids))"
    ),
    "adjustments": (
        "update adjustments set reason = 'erased', decision_reason = null,"
        " state = case state when 'awaiting_approval' then 'rejected' else state end"
        " where member_id = any(:member_ids)"
    ),
    "transfers": (
        "update transfers set reason = null"
        " where member_id = any(:member_ids) or to_member_id = any(:member_ids)"
    ),
    # What was written about a transfer stands with both members; the references of an import are
    # each member's own.
    "entry_reasons": (
        "delete from entry_reasons as told using entry_reasons as own"
        " where own.member_id = any(:member_ids)"
        " and (told.cause_kind, told.cause_id) = (own.cause_kind, own.cause_id)"
        " and (told.member_id = own.member_id or told.cause_kind <> 'import')"
    ),
    "expiry_notices": "update expiry_notices set receipt = null where member_id = any(:member_ids)",
    "expiry_notice_failures": (
        "update expiry_notice_failures set reason = 'erased' where member_id = any(:member_ids)"
    ),
    "expiry_extensions": (
        "update expiry_extensions set note = null where member_id = any(:member_ids)"
    ),
    "imported_movements": (
        "update imported_movements set reference = encode(sha256(convert_to("
        "member_id || ' ' || reference, 'UTF8')), 'hex') where member_id = any(:member_ids)"
    ),
    "member_replies": (
        "with reply as (delete from member_replies where member_id = any(:member_ids) or member_id"
        " in (select order_id from orders where member_id = any(:member_ids))"
        " returning scope, key)"
        " update idempotency_keys as kept set status = 404,"
        " media_type = 'application/problem+json', body = :reply"
        " from reply where kept.scope = reply.scope and kept.key = reply.key"
    ),
}
#: Table → why its rows stay: they hold ids and amounts, and the id leads to nobody any more.
KEPT: Final[Mapping[str, str]] = {
    "accounts": "balances, which are nothing now",
    "point_entries": "the ledger: amounts under an id that leads to nobody",
    "point_lots": "as the entries",
    "lot_allocations": "as the entries",
    "growth_entries": "amounts by order",
    "expiry_notice_lots": "amounts by lot",
    "ledger_checkpoint_heads": "hashes and numbers, without which the ledger proves nothing",
    "refunds": "what the shop's accounts need: amounts by order, and articles",
    "reservations": "articles, vouchers and amounts; open ones were released before",
    "vouchers": "what was issued and used; open ones were voided before",
    "rewards": "what referral asked for, by its own ids",
}

_REMEMBER: Final = text(
    """
    insert into erased_identities (kind, app_id, value_hash, erased_on)
    select kind, app_id, value_hash, :today from identities where member_id = any(:member_ids)
    on conflict (kind, app_id, value_hash) do update set erased_on = excluded.erased_on
    """
)
_EVENTS: Final = text(
    """
    update outbox set data = data
      || case when data ? 'device_id' then '{"device_id": null}'::jsonb else '{}' end
      || case when data ? 'payer_hash' then '{"payer_hash": null}'::jsonb else '{}' end
      || case when data ? 'referral_code' then '{"referral_code": null}'::jsonb else '{}' end
    where subject = any(:member_ids) and type = any(:types)
    """
)
_PERSON: Final = text(
    """
    update members set state = 'erased', merged_into = null, nickname = null, birthday = null,
      gender = null, city = null, tags = '[]', consents = '{}', phone_masked = null,
      erased_at = :now, updated_at = :now
    where id = any(:member_ids)
    """
)
_WAS_ERASED: Final = text(
    """
    select given.place
    from unnest(cast(:kinds as text[]), cast(:app_ids as text[]), cast(:hashes as bytea[]))
      with ordinality as given(kind, app_id, value_hash, place)
    join erased_identities using (kind, app_id, value_hash)
    """
)

_KEEP_REPLY: Final = text(
    """
    insert into member_replies (member_id, scope, key)
    select member_id, :scope, :key from unnest(cast(:member_ids as text[])) as given(member_id)
    on conflict do nothing
    """
)


async def merged_into(session: AsyncSession, *, member_id: str) -> Sequence[str]:
    """Those who live on in a member."""
    found = await session.exec(
        select(Member.id).where(col(Member.merged_into) == member_id).order_by(col(Member.id))
    )
    return found.all()


async def open_reservations(session: AsyncSession, *, member_ids: Sequence[str]) -> Sequence[str]:
    """The reservations of members that still hold something."""
    found = await session.exec(
        select(Reservation.id)
        .where(col(Reservation.member_id).in_(member_ids), col(Reservation.state) == "held")
        .order_by(col(Reservation.id))
    )
    return found.all()


async def lock_open_vouchers(
    session: AsyncSession, *, member_ids: Sequence[str]
) -> Sequence[Voucher]:
    """Members' vouchers that could still be used, locked in order of their ids."""
    found = await session.exec(
        select(Voucher)
        .where(
            col(Voucher.member_id).in_(member_ids),
            col(Voucher.state).in_(("issued", "held", "frozen")),
        )
        .order_by(col(Voucher.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found.all()


async def is_erased(session: AsyncSession, *, member_id: str) -> bool:
    """Whether a member was erased."""
    found = await session.exec(
        select(Member.id).where(col(Member.id) == member_id, col(Member.erased_at).is_not(None))
    )
    return found.first() is not None


async def erase(
    session: AsyncSession,
    *,
    member_ids: Sequence[str],
    events: Sequence[str],
    reply: bytes,
    now: datetime,
    today: date,
) -> None:
    """Erase what is personal about these members, everywhere in this database.

    `events` are the types that name a device, a payer or a code; `reply` is what is answered from
    now on to those who repeat a request whose reply showed the profile.
    """
    of_them = {"member_ids": list(member_ids)}
    await execute(session, _REMEMBER, {**of_them, "today": today.isoformat()})
    facts = {**of_them, "now": now, "reply": reply}
    for statement in ERASED.values():
        given = {name: fact for name, fact in facts.items() if f":{name}" in statement}
        await execute(session, text(statement), given)
    await execute(session, _EVENTS, {**of_them, "types": list(events)})
    await execute(session, _PERSON, {**of_them, "now": now})


async def erased_before(
    session: AsyncSession, identities: Sequence[GivenIdentity], *, vault: Vault
) -> set[GivenIdentity]:
    """Those of these identities with which somebody was known who was erased."""
    rows = await execute(
        session,
        _WAS_ERASED,
        {
            "kinds": [one.kind for one in identities],
            "app_ids": [one.app_id for one in identities],
            "hashes": [vault.hash_identity(one) for one in identities],
        },
    )
    return {identities[place - 1] for place in rows.scalars()}


async def note_reply(
    session: AsyncSession, *, member_ids: Sequence[str], kept_under: tuple[str, str] | None
) -> None:
    """Remember that the reply kept under a scope and key says something personal about members,
    so that erasure finds it; nothing when no reply is kept.
    """
    if kept_under is None:
        return
    scope, key = kept_under
    given = {"member_ids": list(member_ids), "scope": scope, "key": key}
    await execute(session, _KEEP_REPLY, given)
