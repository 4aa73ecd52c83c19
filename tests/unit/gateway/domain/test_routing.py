"""From method and path to the row of the policy table."""

import re

import pytest

from gateway.domain.routing import PATH_BYTES_MAX, MethodNotAllowed, Routes
from gateway.policy import OPEN_ROUTES, OPERATIONS, OpenRoute, Operation
from shared.kernel.errors import NotFound

ROUTES: Routes[Operation | OpenRoute] = Routes([*OPERATIONS, *OPEN_ROUTES])


def found(method: str, path: str | bytes) -> str:
    raw = path.encode() if isinstance(path, str) else path
    row = ROUTES.find(method=method, raw_path=raw)
    return row.id if isinstance(row, Operation) else row.path


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_every_operation_is_found_by_its_own_path(operation: Operation) -> None:
    path = re.sub(r"\{\w+\}", "x-1", operation.path)
    assert found(operation.method, path) == operation.id


@pytest.mark.parametrize("route", OPEN_ROUTES, ids=lambda route: route.path)
def test_every_open_route_is_found(route: OpenRoute) -> None:
    assert found("GET", route.path.replace("{file}", "console.js")) == route.path


def test_a_written_segment_comes_before_a_parameter() -> None:
    assert found("GET", "/v1/orders/imports/imp_1") == "show_order_import"
    assert found("POST", "/v1/orders/imports") == "import_orders"


def test_an_order_may_be_called_as_a_segment_is() -> None:
    assert found("GET", "/v1/orders/imports") == "show_order"
    assert found("POST", "/v1/orders/imports/refunds") == "refund_order"


def test_head_goes_where_get_goes() -> None:
    assert found("HEAD", "/v1/tiers") == "list_tiers"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/members", "GET, HEAD, POST"),
        ("PATCH", "/v1/members/mem_1/profile", "PUT"),
        ("OPTIONS", "/v1/orders", "POST"),
        ("HEAD", "/v1/orders", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("get", "/healthz", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_which_ones_there_are(method: str, path: str, allow: str) -> None:
    with pytest.raises(MethodNotAllowed) as refused:
        found(method, path)
    assert refused.value.allow == allow


@pytest.mark.parametrize(
    "path",
    [
        "",
        "*",
        "/v1",
        "/v1/",
        "/v1/members/",
        "//v1/members",
        "/v1//members",
        "/v1/members/../api_keys",
        "/v1/members/./wallet",
        "/v1/members/%2e%2e/wallet",
        "/v1/members/.%2E/wallet",
        "/v1/members/a%2Fb/wallet",
        "/v1/members/a%2fb",
        "/v1/members/a%5Cb",
        "/v1/members/a\\b",
        "/v1/members/%00",
        "/v1/members/a%0d%0ab",
        "/v1/members/%ff",
        "/v1/members/%ED%A0%80",
        "/v1/members/%",
        "/v1/members/%zz",
        "/v1/members/a b",
        "/v1/members/a?b",
        "/v1/members/a#b",
        "/v1/%6Dembers",
        "/V1/members",
        "/v1/members/" + "a" * PATH_BYTES_MAX,
        "/internal/events",
        "/internal/openapi.json",
        "/docs",
        "/console/a/b",
        "http://elsewhere/v1/members",
    ],
)
def test_a_path_that_could_be_read_in_two_ways_or_is_not_public_leads_nowhere(path: str) -> None:
    with pytest.raises(NotFound):
        found("GET", path)


def test_raw_bytes_that_are_no_text_lead_nowhere() -> None:
    with pytest.raises(NotFound):
        found("GET", b"/v1/members/\xff\xfe")


@pytest.mark.parametrize(
    "segment", ["SO-2026.11:23_1", "a%3Ab", "%E5%9B%9E", "a%252Fb", "~a", "a@b"]
)
def test_what_every_reader_reads_alike_is_found(segment: str) -> None:
    assert found("GET", f"/v1/orders/{segment}") == "show_order"


def test_two_rows_for_one_way_in_are_a_defect() -> None:
    with pytest.raises(ValueError, match="two routes"):
        Routes([*OPERATIONS, OPERATIONS[0]])
