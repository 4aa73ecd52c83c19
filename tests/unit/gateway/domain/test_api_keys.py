"""The form of API keys."""

import re
import string
from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.api_keys import ALL_SCOPES, KeyFacts, Mode, new_key, read_key
from gateway.policy import SCOPES

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def facts(*scopes: str, expires_at: datetime | None = None, revoked: bool = False) -> KeyFacts:
    return KeyFacts(
        id="1a2b3c4d",
        name="storefront",
        scopes=scopes,
        created_by="command:first_key",
        created_at=NOON,
        expires_at=expires_at,
        revoked_at=NOON if revoked else None,
        last_used_at=None,
    )


@pytest.mark.parametrize(("mode", "prefix"), [("live", "hk_live_"), ("sandbox", "hk_test_")])
def test_a_key_tells_its_deployment_and_is_read_back(mode: Mode, prefix: str) -> None:
    key = new_key(mode=mode)
    assert re.fullmatch(prefix + r"[0-9a-hjkmnp-tv-z]{8}_[0-9A-Za-z]{49}", key.text)
    assert read_key(key.text, mode=mode) == key


def test_a_key_of_the_sandbox_is_none_in_a_live_deployment() -> None:
    assert read_key(new_key(mode="sandbox").text, mode="live") is None
    assert read_key(new_key(mode="live").text, mode="sandbox") is None


def test_no_single_slip_of_the_hand_makes_another_valid_key() -> None:
    text = new_key(mode="live").text
    for place in range(len("hk_live_"), len(text)):
        for letter in string.ascii_letters + string.digits + "_- \n":
            slipped = text[:place] + letter + text[place + 1 :]
            if slipped != text:
                assert read_key(slipped, mode="live") is None


@pytest.mark.parametrize("text", ["", "hk_live_", "Bearer x", "hk_live_" + "é" * 58, "\x00" * 66])
def test_what_is_no_key_is_none(text: str) -> None:
    assert read_key(text, mode="live") is None


def test_only_the_right_secret_fits_the_hash_that_is_kept() -> None:
    key, other = new_key(mode="live"), new_key(mode="live")
    assert len(key.hash) == 32
    assert key.is_that_of(key.hash)
    assert not other.is_that_of(key.hash)


def test_a_key_never_shows_its_secret_by_accident() -> None:
    key = new_key(mode="live")
    assert key.secret not in repr(key)


def test_a_manager_key_has_every_scope_and_may_give_every_scope() -> None:
    manager = facts(ALL_SCOPES)
    assert manager.manager
    assert manager.granted == set(SCOPES)
    assert manager.beyond([ALL_SCOPES, *SCOPES]) == []


def test_a_key_with_every_scope_by_name_is_no_manager() -> None:
    key = facts(*SCOPES)
    assert not key.manager
    assert key.beyond([ALL_SCOPES]) == [ALL_SCOPES]


def test_a_key_may_give_no_scope_that_it_lacks() -> None:
    key = facts("access:manage", "members:read")
    assert key.beyond(["members:read"]) == []
    assert key.beyond(["points:write", "members:read", "orders:write"]) == [
        "orders:write",
        "points:write",
    ]


def test_a_key_ends_at_the_very_moment_it_expires() -> None:
    key = facts(expires_at=NOON)
    assert key.state(at=NOON - timedelta(microseconds=1)) == "active"
    assert key.state(at=NOON) == "expired"
    assert facts(expires_at=NOON, revoked=True).state(at=NOON) == "revoked"
