"""What a row of the policy table says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Service = Literal["gateway", "loyalty", "referral", "segmentation"]
Method = Literal["GET", "POST", "PUT", "DELETE"]
#: Id, method, path, scope, and whether an Idempotency-Key is required.
Row = tuple[str, Method, str, str | None, bool]

KIB: Final = 1024
BODY_BYTES: Final = 64 * KIB
BULK_BODY_BYTES: Final = 1024 * KIB
UPLOAD_BYTES: Final = 512 * 1024 * KIB


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One row: an operation id, unique in the whole API, and all the gateway must know of it."""

    id: str
    method: Method
    path: str
    service: Service
    #: The scope a key must have; None lets every valid key in.
    scope: str | None
    #: The largest body taken, in bytes.
    body_bytes: int = BODY_BYTES
    media_types: tuple[str, ...] = ("application/json",)
    #: Whether an Idempotency-Key is required.
    keyed: bool = False
    #: Whether bodies are passed on as they come, either way, instead of being read first.
    streamed: bool = False


def operations(service: Service, rows: Sequence[Row]) -> list[Operation]:
    """Rows without anything unusual as operations."""
    return [
        Operation(id=id_, method=method, path=path, service=service, scope=scope, keyed=keyed)
        for id_, method, path, scope, keyed in rows
    ]
