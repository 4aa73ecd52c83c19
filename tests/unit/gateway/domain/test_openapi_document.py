"""Merging the services' documents into the public one."""

from typing import Any

import pytest

from gateway.domain.openapi_document import merged_document
from gateway.domain.openapi_parts import Json, Part


def loyalty_document() -> Json:
    """As FastAPI writes it: a public operation, one that is not in the policy, shared schemas."""
    reference = {"$ref": "#/components/schemas/WalletReply"}
    return {
        "paths": {
            "/v1/members/{member_id}/wallet": {
                "get": {
                    "operationId": "show_wallet",
                    "tags": ["anything"],
                    "summary": "Show Wallet",
                    "description": "All in one call.",
                    "parameters": [{"name": "member_id", "in": "path", "required": True}],
                    "responses": {
                        "200": {
                            "description": "Successful Response",
                            "content": {"application/json": {"schema": reference}},
                        },
                        "404": {"description": "No such member"},
                        "422": {
                            "description": "Validation Error",
                            "content": {
                                "application/json": {
                                    "schema": {"$ref": "#/components/schemas/HTTPValidationError"}
                                }
                            },
                        },
                    },
                }
            },
            "/v1/members/{member_id}/points/redemptions": {
                "post": {
                    "operationId": "redeem_points",
                    "parameters": [{"name": "idempotency-key", "in": "header"}],
                    "requestBody": {"content": {"application/json": {"schema": reference}}},
                    "responses": {
                        "201": {"description": "Redeemed"},
                        "409": {"description": "`insufficient_points`, `member_merged`"},
                    },
                }
            },
            "/v1/tiers": {"get": {"operationId": "another_id", "responses": {}}},
            "/internal/events": {"get": {"operationId": "read_events", "responses": {}}},
        },
        "components": {
            "schemas": {
                "WalletReply": {
                    "title": "WalletReply",
                    "type": "object",
                    "properties": {"tier": {"$ref": "#/components/schemas/TierReply"}},
                },
                "TierReply": {"title": "TierReply", "type": "object"},
                "Unused": {"title": "Unused", "type": "object"},
                "HTTPValidationError": {"title": "HTTPValidationError", "type": "object"},
            }
        },
    }


@pytest.fixture
def document() -> Json:
    parts = [Part(service="loyalty", document=loyalty_document(), current=True)]
    return merged_document(parts, version="1", language="en")


def test_only_what_stands_in_the_policy_table_is_shown(document: Json) -> None:
    assert set(document["paths"]) == {
        "/v1/members/{member_id}/wallet",
        "/v1/members/{member_id}/points/redemptions",
    }


def test_schemas_are_named_after_their_service_and_unneeded_ones_left_out(document: Json) -> None:
    schemas = document["components"]["schemas"]
    assert set(schemas) == {"LoyaltyWalletReply", "LoyaltyTierReply", "Problem"}
    assert schemas["LoyaltyWalletReply"]["title"] == "LoyaltyWalletReply"
    tier = schemas["LoyaltyWalletReply"]["properties"]["tier"]
    assert tier == {"$ref": "#/components/schemas/LoyaltyTierReply"}


def test_every_reference_leads_somewhere(document: Json) -> None:
    for reference in references(document):
        node: Any = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_an_operation_names_its_scope_and_the_problems_it_may_answer_with(document: Json) -> None:
    wallet = document["paths"]["/v1/members/{member_id}/wallet"]["get"]
    assert wallet["security"] == [{"api_key": ["points:read"]}]
    assert "points:read" in wallet["description"]
    expected = {"200", "400", "401", "403", "404", "405", "422", "500", "503", "504"}
    assert set(wallet["responses"]) == expected
    own = wallet["responses"]["404"]
    assert own["description"] == "No such member\n\n`not_found` Not found"
    assert "application/problem+json" in own["content"]


def test_an_operations_own_refusals_hide_none_that_all_have(document: Json) -> None:
    redeem = document["paths"]["/v1/members/{member_id}/points/redemptions"]["post"]
    conflict = redeem["responses"]["409"]
    assert [line.split("`")[1] for line in conflict["description"].splitlines()] == [
        "insufficient_points",
        "member_merged",
        "idempotency_in_flight",
    ]
    assert set(conflict["headers"]) == {"X-Request-Id", "Retry-After", "Idempotency-Replayed"}
    invalid = document["components"]["responses"][
        redeem["responses"]["422"]["$ref"].rpartition("/")[2]
    ]
    examples = invalid["content"]["application/problem+json"]["examples"]
    assert set(examples) == {"validation_failed", "idempotency_key_reused"}
    assert examples["idempotency_key_reused"]["value"]["status"] == 422


def test_answers_name_their_headers(document: Json) -> None:
    wallet = document["paths"]["/v1/members/{member_id}/wallet"]["get"]
    redeem = document["paths"]["/v1/members/{member_id}/points/redemptions"]["post"]
    assert set(wallet["responses"]["200"]["headers"]) == {"X-Request-Id"}
    assert set(redeem["responses"]["201"]["headers"]) == {"X-Request-Id", "Idempotency-Replayed"}
    problems = document["components"]["responses"]
    assert "WWW-Authenticate" in problems["Unauthenticated"]["headers"]
    assert "Allow" in problems["MethodNotAllowed"]["headers"]
    assert "Retry-After" in problems["ServiceAwayOrTemporarilyUnavailableOrOverloaded"]["headers"]


def test_a_body_says_how_large_it_may_be(document: Json) -> None:
    redeem = document["paths"]["/v1/members/{member_id}/points/redemptions"]["post"]
    assert "64 KiB" in redeem["requestBody"]["description"]


def test_what_a_field_means_stands_at_the_field() -> None:
    made = loyalty_document()
    number = {"type": "integer", "description": "What the tier is worth"}
    made["components"]["schemas"]["TierReply"]["properties"] = {
        "worth": {"anyOf": [number, {"type": "null"}]},
        "told": {"anyOf": [number, {"type": "null"}], "description": "Null if nothing"},
    }
    parts = [Part(service="loyalty", document=made, current=True)]
    schemas = merged_document(parts, version="1", language="en")["components"]["schemas"]
    plain = [{"type": "integer"}, {"type": "null"}]
    assert schemas["LoyaltyTierReply"]["properties"] == {
        "worth": {"anyOf": plain, "description": "What the tier is worth"},
        "told": {"anyOf": plain, "description": "Null if nothing"},
    }


def test_the_idempotency_key_is_required_where_the_policy_requires_it(document: Json) -> None:
    redeem = document["paths"]["/v1/members/{member_id}/points/redemptions"]["post"]
    assert redeem["parameters"] == [{"$ref": "#/components/parameters/IdempotencyKeyRequired"}]
    assert document["components"]["parameters"]["IdempotencyKeyRequired"]["required"] is True


def test_examples_say_null_where_a_field_is_required() -> None:
    made = loyalty_document()
    schemas = made["components"]["schemas"]
    schemas["TierReply"] |= {"required": ["until"], "properties": {"until": {"type": "null"}}}
    wallet = made["paths"]["/v1/members/{member_id}/wallet"]["get"]
    wallet["responses"]["200"]["content"]["application/json"]["example"] = {"tier": {}}
    parts = [Part(service="loyalty", document=made, current=True)]
    document = merged_document(parts, version="1", language="en")
    answer = document["paths"]["/v1/members/{member_id}/wallet"]["get"]["responses"]["200"]
    assert answer["content"]["application/json"]["example"] == {"tier": {"until": None}}


def test_words_are_in_the_language_asked_for() -> None:
    parts = [Part(service="loyalty", document=loyalty_document(), current=True)]
    chinese = merged_document(parts, version="1", language="zh-CN")
    redeem = chinese["paths"]["/v1/members/{member_id}/points/redemptions"]["post"]
    assert redeem["summary"] == "使用积分"
    assert redeem["tags"] == ["积分与钱包"]
    assert [tag["name"] for tag in chinese["tags"]] == ["积分与钱包"]


def test_it_says_which_service_is_shown_as_last_seen_or_missing() -> None:
    parts = [
        Part(service="loyalty", document=loyalty_document(), current=False),
        Part(service="referral", document=None, current=False),
    ]
    document = merged_document(parts, version="1", language="en")
    assert document["info"]["x-parts"] == {"loyalty": "last_known", "referral": "missing"}
    assert "loyalty, referral" in document["info"]["description"]
    assert "/v1/members/{member_id}/wallet" in document["paths"]


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [one for value in node.values() for one in references(value)]
    if isinstance(node, list):
        return [one for value in node for one in references(value)]
    return []
