"""Versions of the programme, and their terms as documents."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.referral.domain.programme import Caps, Programme, Stage, StageReward, VoucherTerms
from services.referral.store.tables import ProgrammeVersion
from shared.sql import execute

# A version follows the one that its author has seen, or none: two authors cannot both follow it.
_PUBLISH = text(
    """
    insert into programme_versions (version, rules, published_by, published_at)
    select :expected + 1, cast(:rules as jsonb), :published_by, :published_at
    where (select max(version) from programme_versions) = :expected
    on conflict do nothing
    returning version
    """
)


@dataclass(frozen=True, kw_only=True)
class Published:
    """A version of the programme."""

    version: int
    programme: Programme
    published_by: str
    published_at: datetime


async def current(session: AsyncSession) -> Published:
    """The newest version."""
    found = await session.exec(
        select(ProgrammeVersion).order_by(col(ProgrammeVersion.version).desc()).limit(1)
    )
    return _published(found.one())


async def of_version(session: AsyncSession, *, version: int) -> Programme:
    """The terms of one version."""
    found = await session.exec(
        select(ProgrammeVersion).where(col(ProgrammeVersion.version) == version)
    )
    return _programme(found.one().rules)


async def at(session: AsyncSession, *, moment: datetime) -> Published:
    """The version in force at a moment; the first one for all moments before it."""
    found = await session.exec(
        select(ProgrammeVersion)
        .where(
            (col(ProgrammeVersion.published_at) <= moment) | (col(ProgrammeVersion.version) == 1)
        )
        .order_by(col(ProgrammeVersion.version).desc())
        .limit(1)
    )
    return _published(found.one())


async def publish(
    session: AsyncSession, *, programme: Programme, expected: int, by: str, now: datetime
) -> int | None:
    """Keep a version that follows the expected one; None when another does already."""
    published = await execute(
        session,
        _PUBLISH,
        {
            "expected": expected,
            "rules": _document(programme),
            "published_by": by,
            "published_at": now,
        },
    )
    version: int | None = published.scalar_one_or_none()
    return version


def _published(row: ProgrammeVersion) -> Published:
    return Published(
        version=row.version,
        programme=_programme(row.rules),
        published_by=row.published_by,
        published_at=row.published_at,
    )


def _document(programme: Programme) -> str:
    return orjson.dumps(asdict(programme)).decode()


def _programme(rules: Mapping[str, Any]) -> Programme:
    return Programme(
        stages=[
            Stage(
                name=stage["name"],
                trigger=stage["trigger"],
                rewards=[StageReward(**reward) for reward in stage["rewards"]],
            )
            for stage in rules["stages"]
        ],
        voucher=VoucherTerms(**rules["voucher"]),
        minimum_order_fen=rules["minimum_order_fen"],
        caps=Caps(**rules["caps"]),
        starts_at=_moment(rules["starts_at"]),
        ends_at=_moment(rules["ends_at"]),
    )


def _moment(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written is not None else None
