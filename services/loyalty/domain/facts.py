"""Facts that callers report under ids of their own: each id counts once, for ever."""

import hashlib
import json
from collections.abc import Sequence
from typing import Final

from shared.kernel.errors import Refusal

_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class AlreadyRecordedDifferently(Refusal):
    """The id was recorded before, with other facts. Nothing was changed."""

    code = "already_recorded_differently"


def facts_hash(facts: Sequence[object]) -> bytes:
    """SHA-256 of facts written as a JSON array; moments are given as texts."""
    return hashlib.sha256(_ENCODE(facts).encode()).digest()
