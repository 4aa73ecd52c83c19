"""The sandbox's clock."""

from gateway.policy.rows import Operation, Row, operations


def test_clock_rows() -> list[Operation]:
    """Reading it and moving it. A live system refuses both."""
    clock = "/v1/test_clock"
    rows: list[Row] = [
        ("show_test_clock", "GET", clock, "clock:read", False),
        ("advance_test_clock", "POST", f"{clock}/advance", "clock:manage", False),
    ]
    return operations("gateway", rows)
