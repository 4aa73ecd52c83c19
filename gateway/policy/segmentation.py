"""Segments and their runs."""

from gateway.policy.rows import Operation, Row, operations


def segmentation_rows() -> list[Operation]:
    """Segments and their runs."""
    rows: list[Row] = [
        ("show_member_segment", "GET", "/v1/members/{member_id}/segment", "segments:read", False),
        ("list_segments", "GET", "/v1/segments", "segments:read", False),
        ("start_segment_run", "POST", "/v1/segment_runs", "segments:run", False),
        ("show_segment_run", "GET", "/v1/segment_runs/{run_id}", "segments:read", False),
    ]
    return operations("segmentation", rows)
