"""Migrate one service's database: `python -m shared.migrate services.loyalty`.

The address comes from the service's own settings variable, such as LOYALTY_DATABASE_URL.
"""

import argparse
from pathlib import Path

from alembic import command
from alembic.config import Config
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.settings import DatabaseUrl

_ROOT = Path(__file__).parent.parent


def alembic_config(package: str, *, url: str) -> Config:
    """The Alembic configuration of a package (`services.loyalty`, `gateway`) for a database."""
    config = Config()
    folder = _ROOT.joinpath(*package.split(".")) / "migrations"
    config.set_main_option("script_location", str(folder))
    config.set_main_option("file_template", "%%(year)d%%(month).2d%%(day).2d_%%(slug)s")
    config.attributes["url"] = url
    return config


def migrate(package: str, *, url: str, revision: str = "head") -> None:
    """Bring a database to a revision. Safe to run twice, also at once: the second one waits."""
    command.upgrade(alembic_config(package, url=url), revision)


def main() -> None:
    """Read the address from the environment and migrate to the newest revision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", help="services.loyalty, services.referral, …, gateway")
    package = parser.parse_args().package

    class Address(BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix=f"{package.split('.')[-1].upper()}_", hide_input_in_errors=True
        )
        database_url: DatabaseUrl = Field()

    migrate(package, url=Address().database_url.get_secret_value())


if __name__ == "__main__":
    main()
