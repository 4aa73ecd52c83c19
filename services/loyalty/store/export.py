"""Everything on record about one person, read in one snapshot (`export_sections` says what)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from services.loyalty.domain.export import ROWS_MAX, ExportTooLarge
from services.loyalty.domain.members import MemberMerged, MemberNotFound
from services.loyalty.store.export_sections import SECTIONS, Section
from services.loyalty.store.vault import Vault
from shared.db import Database
from shared.sql import execute

_SNAPSHOT: Final = text("set transaction isolation level repeatable read, read only")
_WHO: Final = text(
    """
    select id, state, merged_into from members where id = :member_id or merged_into = :member_id
    order by id
    """
)
_SECTION: Final = """
    select to_jsonb(found)::text from (
      select {shown} from {table} where {whose} order by {order} limit :most
    ) as found
"""


@dataclass(frozen=True, kw_only=True)
class Export:
    """What is on record about a person, and under which ids; each row as its JSON text."""

    member_ids: Sequence[str]
    sections: Mapping[str, Sequence[str]]


async def export_member(database: Database, *, member_id: str, vault: Vault) -> Export:
    """Read everything about a person as of one moment.

    Raises MemberNotFound, MemberMerged, and ExportTooLarge beyond ROWS_MAX rows in all.
    """
    async with AsyncSession(database.engine) as session, session.begin():
        await execute(session, _SNAPSHOT)
        rows = (await execute(session, _WHO, {"member_id": member_id})).all()
        own = next((row for row in rows if row.id == member_id), None)
        if own is None or own.state == "erased":
            raise MemberNotFound
        if own.merged_into is not None:
            raise MemberMerged(merged_into=own.merged_into)
        member_ids = [row.id for row in rows]
        sections: dict[str, Sequence[str]] = {}
        left = ROWS_MAX
        for name, section in SECTIONS.items():
            sections[name] = await _rows(session, section, member_ids=member_ids, most=left + 1)
            left -= len(sections[name])
            if left < 0:
                raise ExportTooLarge(most=ROWS_MAX)
    sections["identities"] = [_opened(one, vault=vault) for one in sections["identities"]]
    return Export(member_ids=member_ids, sections=sections)


async def _rows(
    session: AsyncSession, section: Section, *, member_ids: Sequence[str], most: int
) -> Sequence[str]:
    statement = _SECTION.format(
        shown=section.shown, table=section.table, whose=section.whose, order=section.order
    )
    found = await execute(session, text(statement), {"member_ids": list(member_ids), "most": most})
    return found.scalars().all()


def _opened(row: str, *, vault: Vault) -> str:
    """An identity with its value, which is its owner's to read."""
    identity = orjson.loads(row)
    sealed = identity["value"]
    if sealed is None:
        return row
    value = vault.decrypt(
        bytes.fromhex(sealed), kind=identity["kind"], app_id=identity["app_id"] or ""
    )
    return orjson.dumps({**identity, "value": value}).decode()
