"""Events that the gateway publishes. The subject of each is the API key's id."""

from typing import ClassVar

from shared.contracts.envelope import EventData


class ApiKeyCreated(EventData):
    """An API key was made. Its secret is nowhere but with its owner."""

    type: ClassVar[str] = "api_key.created.v1"

    key_id: str
    #: `["*"]` is a manager key.
    scopes: list[str]
    created_by: str


class ApiKeyRevoked(EventData):
    """An API key was ended."""

    type: ClassVar[str] = "api_key.revoked.v1"

    key_id: str
    revoked_by: str
