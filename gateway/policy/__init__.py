"""The policy table: every public operation, who may call it, and which service answers.

Routes, OpenAPI security and the authorisation tests are made from it. What has no row here does
not exist for the outside: deny by default.
"""

from dataclasses import dataclass
from typing import Final, Literal

from gateway.policy.access import gateway_rows, service_rows
from gateway.policy.audit import audit_rows
from gateway.policy.lots import lot_rows
from gateway.policy.members import member_rows
from gateway.policy.merges import merge_rows
from gateway.policy.orders import order_rows
from gateway.policy.points import point_rows
from gateway.policy.referral import referral_rows
from gateway.policy.rows import BODY_BYTES, BULK_BODY_BYTES, UPLOAD_BYTES, Operation
from gateway.policy.scopes import SCOPES
from gateway.policy.segmentation import segmentation_rows
from gateway.policy.test_clock import test_clock_rows
from gateway.policy.vouchers import checkout_rows, voucher_rows

__all__ = [
    "BODY_BYTES",
    "BULK_BODY_BYTES",
    "OPEN_ROUTES",
    "OPERATIONS",
    "SCOPES",
    "UPLOAD_BYTES",
    "OpenRoute",
    "Operation",
]

OPERATIONS: Final[tuple[Operation, ...]] = (
    *member_rows(),
    *merge_rows(),
    *point_rows(),
    *lot_rows(),
    *order_rows(),
    *checkout_rows(),
    *voucher_rows(),
    *audit_rows(),
    *referral_rows(),
    *segmentation_rows(),
    *gateway_rows(),
    *test_clock_rows(),
    *service_rows("loyalty"),
    *service_rows("referral"),
    *service_rows("segmentation"),
)


@dataclass(frozen=True, kw_only=True)
class OpenRoute:
    """A way in that needs no key: health, the documents, the console. All else needs one."""

    method: Literal["GET"] = "GET"
    path: str


OPEN_ROUTES: Final[tuple[OpenRoute, ...]] = (
    OpenRoute(path="/"),
    OpenRoute(path="/healthz"),
    OpenRoute(path="/readyz"),
    OpenRoute(path="/openapi.json"),
    OpenRoute(path="/console"),
    OpenRoute(path="/console/{file}"),
)
