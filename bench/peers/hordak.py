"""django-hordak: double entry for Django, called through its models by threads.

Earn is `member.transfer_to(issued)`, redeem locks the member's account, reads the balance as the
library gives it (a sum over all legs) and transfers back; one `atomic` block each. It has no
idempotency, so a key is inserted into a table of ours first; it has no lots, expiry, orders,
growth, events or stored replies. A constraint trigger of its own checks that legs add up.
"""

import sys
from typing import Any, Final
from urllib.parse import urlsplit

import django
from django.conf import settings

from bench.load import Load
from bench.peers.driving import NOTHING, PeerJob, drive_threads, read_job, tell
from bench.requests import PAID_FEN, REDEEMED

_CURRENCY: Final = "XXX"
_POINTS: Final = 30_000
_ISSUED: Final = "issued"


def configure(url: str) -> None:
    """Set Django up for one database, with connections that stay open."""
    parts = urlsplit(url)
    settings.configure(
        SECRET_KEY="bench",  # noqa: S106 - guards nothing
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "mptt", "hordak"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": parts.path.lstrip("/"),
                "USER": parts.username,
                "PASSWORD": parts.password,
                "HOST": parts.hostname,
                "PORT": parts.port,
                "CONN_MAX_AGE": None,
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DEFAULT_CURRENCY=_CURRENCY,
        CURRENCIES=[_CURRENCY],
        USE_TZ=True,
        DEBUG=False,
    )
    django.setup()


def run(job: PeerJob) -> Load:
    """Set up or measure."""
    from django.db import connection
    from hordak.models import Account

    if job.setting_up:
        _set_up(members=job.members)
        return NOTHING
    issued = Account.objects.get(name=_ISSUED)
    members = list(Account.objects.exclude(pk=issued.pk).order_by("name"))
    connection.close()
    act = _redeem if job.kind == "redeem" else _earn
    return drive_threads(job, lambda number, key: act(members[number], issued, key))


def _earn(member: Any, issued: Any, key: str) -> None:
    from django.db import transaction
    from moneyed import Money

    with transaction.atomic():
        _claim(key)
        member.transfer_to(issued, Money(PAID_FEN // 100, _CURRENCY), description=f"order {key}")


def _redeem(member: Any, issued: Any, key: str) -> None:
    from django.db import transaction
    from hordak.models import Account
    from moneyed import Money

    points = Money(REDEEMED, _CURRENCY)
    with transaction.atomic():
        _claim(key)
        locked = Account.objects.select_for_update().get(pk=member.pk)
        if locked.get_simple_balance()[_CURRENCY] < points:
            sys.exit("a member has run out of points")
        issued.transfer_to(locked, points, description=f"redemption {key}")


def _claim(key: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("insert into bench_keys (key) values (%s)", [key])


def _set_up(*, members: int) -> None:
    """Tables by its own migrations, accounts and first points through its own models."""
    from django.core.management import call_command
    from django.db import connection, transaction
    from hordak.models import Account, AccountType
    from moneyed import Money

    call_command("migrate", verbosity=0, interactive=False)
    with connection.cursor() as cursor:
        cursor.execute("create table bench_keys (key text primary key)")
    issued = Account.objects.create(
        name=_ISSUED, type=AccountType.expense, currencies=[_CURRENCY], code="0"
    )
    for number in range(members):
        with transaction.atomic():
            member = Account.objects.create(
                name=f"member-{number:06d}",
                type=AccountType.liability,
                currencies=[_CURRENCY],
                code=str(number + 1),
            )
            member.transfer_to(issued, Money(_POINTS, _CURRENCY), description="fill")


def main() -> None:
    """Run as a program."""
    job = read_job()
    configure(job.url)
    tell(run(job))


if __name__ == "__main__":
    main()
