"""Orders, refunds, and history in bulk."""

from gateway.policy.rows import UPLOAD_BYTES, Operation, Row, operations


def order_rows() -> list[Operation]:
    """Orders, refunds, history in bulk."""
    order = "/v1/orders/{order_id}"
    imported = "/v1/orders/imports/{import_id}"
    refusals = f"{imported}/refusals"
    rows: list[Row] = [
        ("record_order", "POST", "/v1/orders", "orders:write", True),
        ("show_order", "GET", order, "orders:read", False),
        ("complete_order", "POST", f"{order}/completion", "orders:write", True),
        ("cancel_order", "POST", f"{order}/cancellation", "orders:write", True),
        ("refund_order", "POST", f"{order}/refunds", "orders:write", True),
        ("show_order_import", "GET", imported, "orders:import", False),
        ("list_order_import_refusals", "GET", refusals, "orders:import", False),
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
    return [*operations("loyalty", rows), upload]
