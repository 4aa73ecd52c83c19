"""Points: balances, statement, spending."""

from gateway.policy.rows import Operation, Row, operations


def point_rows() -> list[Operation]:
    """Points: balances, statement, spending."""
    member = "/v1/members/{member_id}"
    redemption = "/v1/points/redemptions/{redemption_id}"
    rows: list[Row] = [
        ("show_points", "GET", f"{member}/points", "points:read", False),
        ("list_point_entries", "GET", f"{member}/points/entries", "points:read", False),
        ("redeem_points", "POST", f"{member}/points/redemptions", "points:write", True),
        ("show_redemption", "GET", redemption, "points:read", False),
    ]
    return operations("loyalty", rows)
