"""Secrets: made once, kept apart, fit for what compose and the services expect."""

import re
from importlib import import_module
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from deploy.local.failures import NotAsAsked
from deploy.secrets import (
    PROCESSES,
    compose_environment,
    generate_secrets,
    process_secrets,
    write_compose_environment,
)
from shared.settings import ServiceSettings, decode_key

CHECKOUT = Path(__file__).parents[3]
SETTINGS = [
    ("gateway", "gateway.settings.GatewaySettings"),
    ("loyalty", "services.loyalty.settings.LoyaltySettings"),
    ("referral", "services.referral.settings.ReferralSettings"),
    ("segmentation", "services.segmentation.settings.SegmentationSettings"),
]


def test_secrets_once_made_stay_as_they_are() -> None:
    first = generate_secrets()
    assert generate_secrets(first) == first
    assert generate_secrets() != first


def test_the_trusted_keys_are_those_of_the_seeds() -> None:
    secrets = generate_secrets()
    trusted = dict(pair.split("=") for pair in secrets["INTERNAL_TRUSTED_KEYS"].split(","))
    assert set(trusted) == set(PROCESSES)
    assert all(len(decode_key(key)) == 32 for key in trusted.values())
    another = generate_secrets({**secrets, "LOYALTY_INTERNAL_KEY": "A" * 43})
    changed = dict(pair.split("=") for pair in another["INTERNAL_TRUSTED_KEYS"].split(","))
    assert changed["loyalty"] != trusted["loyalty"]
    assert changed["referral"] == trusted["referral"]


def test_a_process_knows_its_own_seed_and_no_other() -> None:
    secrets = generate_secrets()
    given = process_secrets(secrets, process="referral")
    assert given["INTERNAL_KEY"] == secrets["REFERRAL_INTERNAL_KEY"]
    for other in set(PROCESSES) - {"referral"}:
        assert secrets[f"{other.upper()}_INTERNAL_KEY"] not in given.values()


def test_existing_secrets_are_never_overwritten(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    write_compose_environment(env)
    before = env.read_text()
    with pytest.raises(NotAsAsked):
        write_compose_environment(env)
    assert env.read_text() == before
    assert env.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("process", "settings"), SETTINGS)
def test_compose_gives_each_process_all_that_its_settings_ask_for(
    process: str, settings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text("utf-8"))
    values = dict(
        line.split("=", 1) for line in compose_environment().splitlines() if line[:1] != "#"
    )
    for name in values:
        monkeypatch.delenv(name, raising=False)
    for name, template in compose["services"][process]["environment"].items():
        if template is not None:  # None passes on what is set where compose runs
            monkeypatch.setenv(name, _filled(template, values))
    read = _kind(settings)()
    assert read.database_url.get_secret_value().endswith(f"@postgres:5432/{process}")


@pytest.mark.parametrize(("process", "settings"), SETTINGS)
def test_compose_passes_on_whatever_a_process_can_be_told(process: str, settings: str) -> None:
    compose = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text("utf-8"))
    kind = _kind(settings)
    known = {
        str(field.validation_alias or f"{kind.model_config.get('env_prefix')}{name}".upper())
        for name, field in kind.model_fields.items()
    }
    assert known <= compose["services"][process]["environment"].keys()


def test_compose_publishes_the_gateway_alone() -> None:
    compose = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text("utf-8"))
    assert [name for name, one in compose["services"].items() if "ports" in one] == ["gateway"]
    assert compose["networks"]["inside"] == {"internal": True}


def _kind(settings: str) -> type[ServiceSettings]:
    module, _, name = settings.rpartition(".")
    kind: type[ServiceSettings] = getattr(import_module(module), name)
    return kind


def _filled(template: str, values: dict[str, str]) -> str:
    """`${NAME:?…}` must be in the generated file; `${NAME:-default}` may be."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        return values[name] if kind == "?" else values.get(name, rest)

    return re.sub(r"\$\{(\w+):([?-])([^}]*)\}", value, str(template))
