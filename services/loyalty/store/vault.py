"""Where identities are hashed, to be found again, and encrypted, to be shown to their owner."""

import hashlib
import hmac
import secrets
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.loyalty.domain.members import GivenIdentity

_NONCE_BYTES: Final = 12


class Vault:
    """Holds the two keys. The same identity has one hash for ever and a new ciphertext each time.

    The hash is HMAC-SHA256, so that a leaked table cannot be searched for the few billion phone
    numbers there are without the key. The ciphertext is AES-256-GCM, bound to its kind and app.
    """

    def __init__(self, *, hash_key: bytes, encryption_key: bytes) -> None:
        self._hash_key = hash_key
        self._cipher = AESGCM(encryption_key)

    def hash_identity(self, identity: GivenIdentity) -> bytes:
        """The keyed hash under which an identity is found."""
        return self._keyed(_label(identity) + identity.value.encode())

    def hash_payer(self, payer_id: str | None) -> str | None:
        """Who paid, as something that can be compared and nothing else."""
        return None if payer_id is None else self._keyed(b"payer\0" + payer_id.encode()).hex()

    def encrypt(self, identity: GivenIdentity) -> bytes:
        """The value, to be read with the key only."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, identity.value.encode(), _label(identity))

    def decrypt(self, sealed: bytes, *, kind: str, app_id: str) -> str:
        """The value again. Raises cryptography's InvalidTag if it was tampered with or moved."""
        label = f"{kind}\0{app_id}\0".encode()
        return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], label).decode()

    def _keyed(self, message: bytes) -> bytes:
        return hmac.new(self._hash_key, message, hashlib.sha256).digest()


def _label(identity: GivenIdentity) -> bytes:
    return f"{identity.kind}\0{identity.app_id}\0".encode()
