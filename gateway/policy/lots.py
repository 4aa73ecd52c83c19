"""The end of lots: when they lapse, notices of it, extensions, lapsed points given back."""

from gateway.policy.rows import Operation, Row, operations


def lot_rows() -> list[Operation]:
    """Lots and their end."""
    points = "/v1/members/{member_id}/points"
    notices = "/v1/points/expiry_notices"
    notice = f"{notices}/{{notice_id}}"
    rows: list[Row] = [
        ("list_lots", "GET", f"{points}/lots", "points:read", False),
        ("show_expiry_schedule", "GET", f"{points}/expiry_schedule", "points:read", False),
        ("extend_lots", "POST", f"{points}/extensions", "points:manage", True),
        ("reinstate_points", "POST", f"{points}/reinstatements", "points:manage", True),
        ("list_expiry_notices", "GET", notices, "points:read", False),
        ("confirm_notice_delivery", "POST", f"{notice}/delivery", "points:notify", False),
        ("report_notice_failure", "POST", f"{notice}/failure", "points:notify", False),
        ("list_expiry_extensions", "GET", "/v1/points/expiry_extensions", "points:read", False),
    ]
    return operations("loyalty", rows)
