"""The secrets of a deployment: the same set for the local runner and for docker compose.

python -m deploy.secrets .env      # what `make secrets` does
"""

import argparse
import base64
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.local.failures import CannotRun, NotAsAsked

PROCESSES: Final = ("gateway", "loyalty", "referral", "segmentation")
_KEY_BYTES: Final = 32


def generate_secrets(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Every secret by the name of its environment variable; what is given is kept as it is.

    `<NAME>_INTERNAL_KEY` is the Ed25519 seed with which a process signs its calls to others,
    `INTERNAL_TRUSTED_KEYS` are the public keys that belong to them (derived, never kept apart),
    the `IDENTITY_…` keys hash and encrypt the identities of members: losing them loses those.
    """
    known = dict(given or {})
    made = {name: known.get(name) or _key() for name in (*_seeds(), *_identity_keys())}
    made["INTERNAL_TRUSTED_KEYS"] = ",".join(
        f"{process}={_public(made[_seed(process)])}" for process in PROCESSES
    )
    return made


def process_secrets(all_secrets: Mapping[str, str], *, process: str) -> dict[str, str]:
    """What one process may know: its own seed, not those of the others."""
    others = set(_seeds())
    mine = {name: value for name, value in all_secrets.items() if name not in others}
    return {**mine, "INTERNAL_KEY": all_secrets[_seed(process)]}


def compose_environment() -> str:
    """The `.env` of docker compose: the secrets, and passwords of the databases and of Valkey."""
    passwords = {f"{process.upper()}_DATABASE_PASSWORD": _password() for process in PROCESSES}
    values = {
        "POSTGRES_PASSWORD": _password(),
        "REDIS_PASSWORD": _password(),
        **passwords,
        **generate_secrets(),
    }
    lines = [f"{name}={value}" for name, value in values.items()]
    return "\n".join(
        ["# Secrets of this deployment. Keep them; share them with nobody.", *lines, ""]
    )


def write_compose_environment(path: Path) -> None:
    """Write the `.env`, readable by its owner alone. Raises NotAsAsked when it exists."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise NotAsAsked("secrets_exist", path=str(path)) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(compose_environment())


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="python -m deploy.secrets")
    parser.add_argument("path", type=Path)
    try:
        write_compose_environment(parser.parse_args().path)
    except CannotRun as failure:
        print(failure, file=sys.stderr)
        sys.exit(failure.exit_code)


def _seed(process: str) -> str:
    return f"{process.upper()}_INTERNAL_KEY"


def _seeds() -> tuple[str, ...]:
    return tuple(_seed(process) for process in PROCESSES)


def _identity_keys() -> tuple[str, ...]:
    return ("IDENTITY_HASH_KEY", "IDENTITY_ENCRYPTION_KEY")


def _key() -> str:
    return _text(secrets.token_bytes(_KEY_BYTES))


def _password() -> str:
    return secrets.token_hex(24)


def _public(seed: str) -> str:
    raw = base64.urlsafe_b64decode(seed + "=" * (-len(seed) % 4))
    return _text(Ed25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


if __name__ == "__main__":
    main()
