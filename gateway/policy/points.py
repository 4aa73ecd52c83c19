"""Points: balances, statement, spending, holds, transfers, adjustments, points in bulk."""

from gateway.policy.rows import UPLOAD_BYTES, Operation, Row, operations


def point_rows() -> list[Operation]:
    """Points: balances, statement, spending, holds, transfers, adjustments, points in bulk."""
    member = "/v1/members/{member_id}"
    redemption = "/v1/points/redemptions/{redemption_id}"
    adjustment = "/v1/points/adjustments/{adjustment_id}"
    imported = "/v1/points/imports/{import_id}"
    rows: list[Row] = [
        ("show_points", "GET", f"{member}/points", "points:read", False),
        ("list_point_entries", "GET", f"{member}/points/entries", "points:read", False),
        ("redeem_points", "POST", f"{member}/points/redemptions", "points:write", True),
        ("show_redemption", "GET", redemption, "points:read", False),
        ("cancel_redemption", "POST", f"{redemption}/cancellation", "points:write", True),
        ("hold_points", "POST", f"{member}/points/holds", "points:write", True),
        ("capture_hold", "POST", f"{redemption}/capture", "points:write", True),
        ("release_hold", "POST", f"{redemption}/release", "points:write", True),
        ("transfer_points", "POST", f"{member}/points/transfers", "points:write", True),
        ("show_transfer", "GET", "/v1/points/transfers/{transfer_id}", "points:read", False),
        ("adjust_points", "POST", f"{member}/points/adjustments", "points:manage", True),
        ("list_adjustments", "GET", "/v1/points/adjustments", "points:manage", False),
        ("show_adjustment", "GET", adjustment, "points:manage", False),
        ("decide_adjustment", "POST", f"{adjustment}/decision", "points:manage", True),
        ("show_points_import", "GET", imported, "points:import", False),
        ("list_points_import_refusals", "GET", f"{imported}/refusals", "points:import", False),
    ]
    upload = Operation(
        id="import_points",
        method="POST",
        path="/v1/points/imports",
        service="loyalty",
        scope="points:import",
        body_bytes=UPLOAD_BYTES,
        media_types=("application/x-ndjson", "text/csv"),
        keyed=True,
        streamed=True,
    )
    return [*operations("loyalty", rows), upload]
