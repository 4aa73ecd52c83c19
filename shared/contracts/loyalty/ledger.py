"""Events about the ledger as a whole. The subject is `ledger`."""

from datetime import datetime
from typing import ClassVar

from shared.contracts.envelope import EventData


class LedgerDisagreed(EventData):
    """A reconciliation found books that do not agree; the first members concerned are named."""

    type: ClassVar[str] = "ledger.disagreed.v1"

    reconciliation_id: str
    disagreements: int
    first_member_ids: list[str]
    reconciled_at: datetime
