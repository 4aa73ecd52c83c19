"""Databases by their address: made when missing, with a role of their own where they are ours."""

import asyncio
import secrets
import ssl
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from deploy.local.failures import CannotRun

_MAINTENANCE: Final = "postgres"


def for_driver(url: str) -> str:
    """The spelling that asyncpg itself reads, from either spelling of an address."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme.split('+')[0]}{separator}{rest}"


def another_database(url: str, database: str) -> str:
    """The same server, role and options, another database."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{database}"))


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


async def ensure_database(*, url: str) -> None:
    """Create the database of an address when it is missing and the role may.

    Raises CannotRun when the server does not answer or the database cannot be made.
    """
    address = for_driver(url)
    name = urlsplit(address).path.lstrip("/")
    try:
        await _ask(address, "select 1")
    except asyncpg.InvalidCatalogNameError:
        await _create(another_database(address, _MAINTENANCE), name)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ssl.SSLError) as reason:
        raise CannotRun("database_refused", database=name, reason=str(reason)) from reason


async def ensure_role_and_database(*, admin_url: str, name: str, password: str) -> None:
    """Make a role and a database of the same name that it owns; the password is set anew."""
    role, word = quoted(name), _literal(password)
    connection = await asyncpg.connect(admin_url)
    try:
        known = await connection.fetchval("select 1 from pg_roles where rolname = $1", name)
        verb = "alter" if known else "create"
        await connection.execute(f"{verb} role {role} login password {word}")
        exists = await connection.fetchval("select 1 from pg_database where datname = $1", name)
        if not exists:
            await connection.execute(f"create database {role} owner {role}")
            await connection.execute(f"revoke connect on database {role} from public")
    finally:
        await connection.close()


async def copy_database(*, admin_url: str, name: str, template: str | None) -> None:
    """Create a database as a copy of a template (nobody may be connected to that meanwhile)."""
    source = f" template {quoted(template)}" if template else ""
    for attempt in range(20):
        try:
            await _ask(admin_url, f"create database {quoted(name)}{source} strategy wal_log")
        except asyncpg.ObjectInUseError:
            if attempt == 19:
                raise
            await asyncio.sleep(0.05)
        else:
            return


async def drop_database(*, admin_url: str, name: str) -> None:
    """Drop a database with whoever is connected to it; nothing happens when there is none."""
    await _ask(admin_url, f"drop database if exists {quoted(name)} with (force)")


def new_password() -> str:
    """A random password that needs no quoting anywhere."""
    return secrets.token_urlsafe(24)


async def _create(maintenance_url: str, name: str) -> None:
    try:
        await _ask(maintenance_url, f"create database {quoted(name)}")
    except asyncpg.DuplicateDatabaseError:
        return
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as reason:
        raise CannotRun("database_refused", database=name, reason=str(reason)) from reason


async def _ask(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=15)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
