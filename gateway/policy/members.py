"""Members, their wallet and tiers."""

from gateway.policy.rows import Operation, Row, operations


def member_rows() -> list[Operation]:
    """Members, their wallet and tiers."""
    member = "/v1/members/{member_id}"
    rows: list[Row] = [
        ("enrol_member", "POST", "/v1/members", "members:write", False),
        ("find_members", "GET", "/v1/members", "members:read", False),
        ("show_member", "GET", member, "members:read", False),
        ("update_member_profile", "PUT", f"{member}/profile", "members:write", False),
        ("show_wallet", "GET", f"{member}/wallet", "points:read", False),
        ("list_tiers", "GET", "/v1/tiers", "tiers:read", False),
    ]
    return operations("loyalty", rows)
