"""Facts that callers report under ids of their own: each id counts once, for ever."""

import hashlib
from collections.abc import Sequence

import orjson

from shared.kernel.errors import Refusal


class AlreadyRecordedDifferently(Refusal):
    """The id was recorded before, with other facts. Nothing was changed."""

    code = "already_recorded_differently"


def facts_hash(facts: Sequence[object]) -> bytes:
    """SHA-256 of facts written as a JSON array without spaces; moments are given as texts."""
    return hashlib.sha256(orjson.dumps(facts)).digest()
