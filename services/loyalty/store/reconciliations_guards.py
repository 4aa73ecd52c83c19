"""Whether what keeps the ledger append-only is still there, as PostgreSQL's own tables say."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from shared.sql import execute

_APPEND_ONLY: Final = (
    "point_entries", "lot_allocations", "ledger_checkpoints", "ledger_checkpoint_heads",
)  # fmt: skip
#: SHA-256 of the body of `refuse_to_change_the_ledger` as the migration wrote it.
_BODY: Final = "e2691f3d6647affd479809304e517ac947fbb4fc6f322d47d1ef55898a668f90"

# A trigger's type 58: before, per statement, on update (16), delete (8) and truncate (32). An heir
# can be changed past the triggers of its table, and a table past its own as somebody's heir.
_MISSING: Final = text(
    """
    with ledger as (
      select name, to_regclass(name) as oid from unnest(cast(:tables as text[])) as given(name)
    ), own as (
      select rolsuper from pg_roles where rolname = current_user
    )
    select name || ' trigger' as guard from ledger where not exists (
      select 1 from pg_trigger
      where tgrelid = ledger.oid and tgname = ledger.name || '_append_only'
        and tgenabled in ('O', 'A') and tgtype = 58 and tgqual is null and tgattr = ''
        and tgfoid = to_regproc('refuse_to_change_the_ledger')
    )
    union all
    select 'refuse_to_change_the_ledger' where not exists (
      select 1 from pg_proc where oid = to_regproc('refuse_to_change_the_ledger')
        and encode(sha256(convert_to(prosrc, 'UTF8')), 'hex') = :body
    )
    union all
    select name || ' heirs' from ledger where exists (
      select 1 from pg_inherits where ledger.oid in (inhparent, inhrelid)
    )
    union all
    select name || ' rights' from ledger, own where not rolsuper and (
      has_table_privilege(ledger.oid, 'UPDATE, DELETE, TRUNCATE')
      or has_any_column_privilege(ledger.oid, 'UPDATE')
    )
    order by guard
    """
)


async def missing_guards(session: AsyncSession) -> Sequence[str]:
    """The guards that do not stand, each as its table and what is wrong with it.

    Rights only where the role is no superuser, which has none to take away.
    """
    given = {"tables": list(_APPEND_ONLY), "body": _BODY}
    return [row.guard for row in await execute(session, _MISSING, given)]
