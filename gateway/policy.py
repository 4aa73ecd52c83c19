"""The policy table: every public operation, who may call it, and which service answers.

Routes, OpenAPI security and the authorisation tests are made from it. What has no row here does
not exist for the outside: deny by default.
"""

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

#: What an API key may be allowed. A manager key has them all.
SCOPES: Final = {
    "members:read": ("查看会员", "See members"),
    "members:write": ("登记和修改会员", "Enrol and change members"),
    "orders:read": ("查看订单", "See orders"),
    "orders:write": ("上报订单与退款", "Report orders and refunds"),
    "orders:import": ("导入历史订单", "Import order history"),
    "points:read": ("查看钱包与积分", "See wallets and points"),
    "points:write": ("使用积分", "Spend points"),
    "checkout:write": ("结算报价与占用", "Quote and reserve at checkout"),
    "tiers:read": ("查看等级", "See tiers"),
    "vouchers:read": ("查看优惠券", "See vouchers"),
    "vouchers:write": ("发放和核销优惠券", "Issue and redeem vouchers"),
    "vouchers:manage": ("管理券模板", "Manage voucher templates"),
    "referrals:read": ("查看推荐", "See referrals"),
    "referrals:manage": ("管理推荐计划", "Manage the referral programme"),
    "segments:read": ("查看分群", "See segments"),
    "segments:run": ("运行分群计算", "Run segmentation"),
    "operations:read": ("查看运行状态", "See the state of the system"),
    "operations:manage": ("处理搁置事件", "Decide parked events"),
    "access:manage": ("管理密钥", "Manage API keys"),
}


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
    #: Whether the body is passed on as it comes, instead of being read first.
    streamed: bool = False


def _members() -> list[Operation]:
    member = "/v1/members/{member_id}"
    redemption = "/v1/points/redemptions/{redemption_id}"
    rows: list[Row] = [
        ("enrol_member", "POST", "/v1/members", "members:write", False),
        ("find_members", "GET", "/v1/members", "members:read", False),
        ("show_member", "GET", member, "members:read", False),
        ("update_member_profile", "PUT", f"{member}/profile", "members:write", False),
        ("show_wallet", "GET", f"{member}/wallet", "points:read", False),
        ("show_points", "GET", f"{member}/points", "points:read", False),
        ("list_point_entries", "GET", f"{member}/points/entries", "points:read", False),
        ("redeem_points", "POST", f"{member}/points/redemptions", "points:write", True),
        ("show_redemption", "GET", redemption, "points:read", False),
        ("list_tiers", "GET", "/v1/tiers", "tiers:read", False),
    ]
    return _rows("loyalty", rows)


def _orders() -> list[Operation]:
    order = "/v1/orders/{order_id}"
    imported = "/v1/orders/imports/{import_id}"
    refusals = f"{imported}/refusals"
    reservation = "/v1/checkout/reservations/{reservation_id}"
    rows: list[Row] = [
        ("record_order", "POST", "/v1/orders", "orders:write", True),
        ("show_order", "GET", order, "orders:read", False),
        ("complete_order", "POST", f"{order}/completion", "orders:write", True),
        ("refund_order", "POST", f"{order}/refunds", "orders:write", True),
        ("show_order_import", "GET", imported, "orders:import", False),
        ("list_order_import_refusals", "GET", refusals, "orders:import", False),
        ("quote_checkout", "POST", "/v1/checkout/quotes", "checkout:write", False),
        ("reserve_checkout", "POST", "/v1/checkout/reservations", "checkout:write", True),
        ("show_reservation", "GET", reservation, "checkout:write", False),
        ("release_reservation", "DELETE", reservation, "checkout:write", False),
    ]
    upload = Operation(
        id="import_orders",
        method="POST",
        path="/v1/orders/imports",
        service="loyalty",
        scope="orders:import",
        body_bytes=UPLOAD_BYTES,
        media_types=("application/x-ndjson", "text/csv"),
        keyed=True,
        streamed=True,
    )
    return [*_rows("loyalty", rows), upload]


def _vouchers() -> list[Operation]:
    templates = "/v1/voucher_templates"
    template = f"{templates}/{{template_id}}"
    voucher = "/v1/vouchers/{voucher_id}"
    of_member = "/v1/members/{member_id}/vouchers"
    rows: list[Row] = [
        ("create_voucher_template", "POST", templates, "vouchers:manage", False),
        ("list_voucher_templates", "GET", templates, "vouchers:read", False),
        ("show_voucher_template", "GET", template, "vouchers:read", False),
        ("list_member_vouchers", "GET", of_member, "vouchers:read", False),
        ("show_voucher", "GET", voucher, "vouchers:read", False),
        ("redeem_voucher", "POST", f"{voucher}/redemption", "vouchers:write", True),
    ]
    bulk = Operation(
        id="issue_vouchers",
        method="POST",
        path=f"{template}/vouchers",
        service="loyalty",
        scope="vouchers:write",
        body_bytes=BULK_BODY_BYTES,
        keyed=True,
    )
    return [*_rows("loyalty", rows), bulk]


def _referral() -> list[Operation]:
    member = "/v1/members/{member_id}"
    rows: list[Row] = [
        ("show_referral_code", "GET", f"{member}/referral_code", "referrals:read", False),
        ("list_member_referrals", "GET", f"{member}/referrals", "referrals:read", False),
        ("list_referrals", "GET", "/v1/referrals", "referrals:read", False),
        ("show_referral", "GET", "/v1/referrals/{referral_id}", "referrals:read", False),
        ("show_referral_programme", "GET", "/v1/referral_programme", "referrals:read", False),
        ("update_referral_programme", "PUT", "/v1/referral_programme", "referrals:manage", False),
    ]
    return _rows("referral", rows)


def _segmentation() -> list[Operation]:
    rows: list[Row] = [
        ("show_member_segment", "GET", "/v1/members/{member_id}/segment", "segments:read", False),
        ("list_segments", "GET", "/v1/segments", "segments:read", False),
        ("start_segment_run", "POST", "/v1/segment_runs", "segments:run", False),
        ("show_segment_run", "GET", "/v1/segment_runs/{run_id}", "segments:read", False),
    ]
    return _rows("segmentation", rows)


def _gateway() -> list[Operation]:
    keys = "/v1/api_keys"
    rows: list[Row] = [
        ("list_api_keys", "GET", keys, "access:manage", False),
        ("create_api_key", "POST", keys, "access:manage", False),
        ("revoke_api_key", "DELETE", f"{keys}/{{key_id}}", "access:manage", False),
        ("show_caller", "GET", "/v1/caller", None, False),
        ("show_gateway_metrics", "GET", "/v1/services/gateway/metrics", "operations:read", False),
    ]
    return _rows("gateway", rows)


def _operations(service: Service) -> list[Operation]:
    """What shared.events.operator_api and shared.service.app give every service."""
    root = f"/v1/services/{service}"
    parked = f"{root}/parked_events/{{parked_id}}"
    rewind = f"{root}/subscriptions/{{producer}}/rewind"
    rows: list[Row] = [
        (f"show_{service}_event_log", "GET", f"{root}/event_log", "operations:read", False),
        (f"show_{service}_metrics", "GET", f"{root}/metrics", "operations:read", False),
        (f"list_{service}_parked_events", "GET", f"{root}/parked_events", "operations:read", False),
        (f"retry_{service}_parked_event", "POST", f"{parked}/retry", "operations:manage", False),
        (f"skip_{service}_parked_event", "POST", f"{parked}/skip", "operations:manage", False),
        (f"rewind_{service}_subscription", "POST", rewind, "operations:manage", False),
    ]
    return _rows(service, rows)


def _rows(service: Service, rows: Sequence[Row]) -> list[Operation]:
    return [
        Operation(id=id_, method=method, path=path, service=service, scope=scope, keyed=keyed)
        for id_, method, path, scope, keyed in rows
    ]


OPERATIONS: Final[tuple[Operation, ...]] = (
    *_members(),
    *_orders(),
    *_vouchers(),
    *_referral(),
    *_segmentation(),
    *_gateway(),
    *_operations("loyalty"),
    *_operations("referral"),
    *_operations("segmentation"),
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
