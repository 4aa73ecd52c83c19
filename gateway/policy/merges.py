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
        ("erase_member", "DELETE", member, "members:erase", False),
    ]
    export = Operation(
        id="export_member",
        method="GET",
        path=f"{member}/export",
        service="loyalty",
        scope="members:export",
        streamed=True,
    )
    return [*operations("loyalty", rows), export]
