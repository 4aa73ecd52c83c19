"""Merging, erasing and exporting members."""

from gateway.policy.rows import Operation, Row, operations


def merge_rows() -> list[Operation]:
    """Merging, erasing and exporting members."""
    member = "/v1/members/{member_id}"
    reversal = "/v1/member_merges/{merge_id}/reversal"
    rows: list[Row] = [
        ("merge_members", "POST", f"{member}/merges", "members:manage", True),
        ("list_member_merges", "GET", f"{member}/merges", "members:read", False),
        ("reverse_merge", "POST", reversal, "members:manage", True),
        ("export_member", "GET", f"{member}/export", "members:export", False),
        ("erase_member", "DELETE", member, "members:erase", False),
    ]
    return operations("loyalty", rows)
