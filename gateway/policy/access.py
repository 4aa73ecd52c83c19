"""What the gateway answers itself, and what every service has for its operators."""

from gateway.policy.rows import Operation, Row, Service, operations


def gateway_rows() -> list[Operation]:
    """What the gateway answers itself."""
    keys = "/v1/api_keys"
    rows: list[Row] = [
        ("list_api_keys", "GET", keys, "access:manage", False),
        ("create_api_key", "POST", keys, "access:manage", False),
        ("revoke_api_key", "DELETE", f"{keys}/{{key_id}}", "access:manage", False),
        ("show_caller", "GET", "/v1/caller", None, False),
        ("show_gateway_metrics", "GET", "/v1/services/gateway/metrics", "operations:read", False),
    ]
    return operations("gateway", rows)


def service_rows(service: Service) -> list[Operation]:
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
    return operations(service, rows)
