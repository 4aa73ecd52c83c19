"""Internal tokens: good for one caller, one callee, one operation, one minute."""

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from shared.http import tokens
from shared.http.tokens import Call, Principal, TokenSigner, TokenVerifier, Unauthenticated

KEYS = {name: Ed25519PrivateKey.generate() for name in ("gateway", "loyalty", "stranger")}
BUYER = Principal(kind="api_key", id="1a2b3c4d")


@dataclass
class Machine:
    """The clock of the machine, as the tokens see it."""

    at: float = 1_795_406_400.0

    def time(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at - 1_795_000_000.0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Time stands still for the tokens' module; PyJWT still asks the real clock."""
    fixed = Machine(at=time.time())
    monkeypatch.setattr(tokens, "time", fixed)
    return fixed


def signer(name: str = "gateway") -> TokenSigner:
    return TokenSigner(issuer=name, private_key=KEYS[name].private_bytes_raw())


def verifier(audience: str = "loyalty", *, without: str = "stranger") -> TokenVerifier:
    trusted = {
        name: key.public_key().public_bytes_raw() for name, key in KEYS.items() if name != without
    }
    return TokenVerifier(audience=audience, trusted=trusted)


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    given = {
        "iss": "gateway",
        "aud": "loyalty",
        "op": "show_wallet",
        "sub": "api_key:1a2b3c4d",
        "iat": now,
        "exp": now + 60,
        **changed,
    }
    return {name: value for name, value in given.items() if value is not None}


def signed(key: str = "gateway", /, **changed: Any) -> str:
    return jwt.encode(claims(**changed), KEYS[key], algorithm="EdDSA")


def refused(token: str, *, by: TokenVerifier | None = None) -> bool:
    with pytest.raises(Unauthenticated):
        (by or verifier()).verify(token)
    return True


def test_a_token_says_who_calls_for_whom_and_what_for() -> None:
    token = signer().token(audience="loyalty", operation="show_wallet", principal=BUYER)
    assert verifier().verify(token) == Call(
        issuer="gateway", operation="show_wallet", principal=BUYER
    )
    assert BUYER.actor == "api_key:1a2b3c4d"


def test_without_a_principal_a_service_speaks_for_itself() -> None:
    token = signer("loyalty").token(audience="referral", operation="read_feed")
    call = verifier("referral").verify(token)
    assert call.principal == Principal(kind="service", id="loyalty")


def test_a_token_for_another_service_is_refused() -> None:
    token = signer().token(audience="referral", operation="show_wallet", principal=BUYER)
    assert refused(token)


def test_the_operation_is_part_of_what_is_signed() -> None:
    one = signer().token(audience="loyalty", operation="show_wallet", principal=BUYER)
    other = signer().token(audience="loyalty", operation="redeem_points", principal=BUYER)
    swapped = ".".join([*other.split(".")[:2], one.split(".")[2]])
    assert refused(swapped)
    assert verifier().verify(other).operation == "redeem_points"


def test_a_stranger_is_refused_in_whosever_name_it_comes() -> None:
    assert refused(signed("stranger", iss="stranger"))
    assert refused(signed("stranger", iss="gateway"))
    assert refused(signed("loyalty", iss="gateway"))
    assert refused(signed("gateway"), by=verifier(without="gateway"))


@pytest.mark.parametrize(
    "sub", ["api_key:1a2b3c4d", "service:gateway", "service:referral", "anonymous:"]
)
def test_a_service_may_not_speak_for_others(sub: str) -> None:
    assert refused(
        signed("loyalty", iss="loyalty", aud="referral", sub=sub), by=verifier("referral")
    )


@pytest.mark.parametrize("missing", ["iss", "aud", "op", "sub", "iat", "exp"])
def test_a_token_that_leaves_something_out_is_refused(missing: str) -> None:
    assert refused(signed(**{missing: None}))


@pytest.mark.parametrize(
    "changed",
    [
        {"sub": "root:1"},
        {"sub": "x"},
        {"sub": ""},
        {"aud": []},
        {"aud": "LOYALTY"},
        {"exp": "x"},
        {"exp": []},
        {"iat": "x"},
        {"iss": ["gateway"]},
        {"iss": 7},
    ],
    ids=str,
)
def test_a_token_that_makes_no_sense_is_refused(changed: dict[str, Any]) -> None:
    token = base64_token({"alg": "EdDSA", "typ": "JWT"}, claims(**changed), sign=True)
    assert refused(token)


def test_an_expiry_written_as_text_is_no_fault() -> None:
    token = base64_token({"alg": "EdDSA"}, claims(exp=str(int(time.time()) + 60)), sign=True)
    assert verifier().verify(token).operation == "show_wallet"


def test_expired_tokens_are_refused_but_a_few_seconds_between_clocks_are_not() -> None:
    now = int(time.time())
    assert refused(signed(exp=now - 10))
    assert refused(signed(iat=now + 60, exp=now + 120))
    assert verifier().verify(signed(exp=now - 2))
    assert verifier().verify(signed(iat=now + 2))


def base64_token(header: dict[str, Any], body: dict[str, Any], *, sign: bool = False) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, body)
    ]
    signature = KEYS["gateway"].sign(b".".join(parts)) if sign else b""
    parts.append(base64.urlsafe_b64encode(signature).rstrip(b"="))
    return b".".join(parts).decode()


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "HS256", "RS256", "ES256", None])
def test_only_ed25519_counts_whatever_the_token_says(algorithm: str | None) -> None:
    header = {"typ": "JWT"} | ({} if algorithm is None else {"alg": algorithm})
    assert refused(base64_token(header, claims()))
    assert refused(base64_token(header, claims(), sign=True))


def test_our_public_key_is_not_a_shared_secret() -> None:
    public = KEYS["gateway"].public_key().public_bytes_raw()
    assert refused(jwt.encode(claims(), public, algorithm="HS256"))


def mutants(token: str) -> Iterator[str]:
    """The token with each of its characters changed."""
    for place, letter in enumerate(token):
        for other in ("A", "B", ".", "=", "\u00e9"):
            if other != letter:
                yield token[:place] + other + token[place + 1 :]


def test_no_changed_character_goes_unnoticed() -> None:
    token, by = signed(), verifier()
    own = by.verify(token)
    for mutant in mutants(token):
        try:
            # The last letter of base64 has bits that mean nothing; the words are the same then.
            assert by.verify(mutant) == own
            assert mutant[:-1] == token[:-1]
        except Unauthenticated:
            continue


@given(st.text() | st.text("abcdefXYZ.-_=0123456789", max_size=200))
def test_any_text_is_refused_without_a_fault(token: str) -> None:
    assert refused(token)


def test_a_token_nested_beyond_reason_is_refused_without_a_fault() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 40_000).rstrip(b"=").decode()
    header = base64.urlsafe_b64encode(b'{"alg":"EdDSA"}').rstrip(b"=").decode()
    assert refused(f"{header}.{deep}.AAAA")
    assert refused(f"{deep}.{deep}.AAAA")


def test_a_signer_makes_a_token_anew_while_the_old_one_is_still_good(machine: Machine) -> None:
    own = signer()

    def made(**more: Any) -> str:
        return own.token(audience="loyalty", operation="show_wallet", **more)

    first = made()
    machine.at += tokens._REUSE_S - 1
    assert made() == first
    machine.at += 2
    assert made() != first
    assert made(principal=BUYER) != made()
    assert tokens._REUSE_S < tokens.LIFETIME_S


def test_a_remembered_token_dies_when_it_would_have(machine: Machine) -> None:
    by = verifier()
    now = int(machine.at)
    token = signed(iat=now - 57, exp=now + 3)
    assert by.verify(token)
    # The token is still in the cache, PyJWT's clock still lets it pass: it must be looked at anew.
    del by._keys["gateway"]
    machine.at += 2
    assert by.verify(token)
    machine.at += 2
    assert refused(token, by=by)


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_CACHED", 10)
    own = signer()
    for number in range(50):
        own.token(audience="loyalty", operation=f"operation_{number}")
    assert len(own._made._kept) == 10
