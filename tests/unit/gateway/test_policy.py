"""The policy table holds together."""

from gateway.domain.openapi_document import TAGS, summary_of, tag_of
from gateway.policy import OPERATIONS, SCOPES
from shared.kernel.texts import Language, catalogue

LANGUAGES: tuple[Language, ...] = ("zh-CN", "en")


def test_operation_ids_are_unique_in_the_whole_api() -> None:
    ids = [operation.id for operation in OPERATIONS]
    assert len(ids) == len(set(ids))


def test_every_scope_that_is_needed_exists_and_every_scope_is_needed() -> None:
    assert {operation.scope for operation in OPERATIONS} - {None} == set(SCOPES)


def test_only_telling_who_one_is_needs_no_scope() -> None:
    assert [one.id for one in OPERATIONS if one.scope is None] == ["show_caller"]


def test_what_reads_needs_no_idempotency_key_and_only_an_export_comes_as_a_stream() -> None:
    reads = [one for one in OPERATIONS if one.method == "GET"]
    assert not [one.id for one in reads if one.keyed]
    assert [one.id for one in reads if one.streamed] == ["export_member"]


def test_every_write_of_points_orders_and_vouchers_needs_an_idempotency_key() -> None:
    moving = {"points:write", "orders:write", "orders:import", "vouchers:write"}
    unkeyed = [
        one.id
        for one in OPERATIONS
        if one.scope in moving and one.method != "GET" and not one.keyed
    ]
    assert unkeyed == []


def test_every_operation_and_group_has_its_words_in_both_languages() -> None:
    for language in LANGUAGES:
        for operation in OPERATIONS:
            words = summary_of(operation, language=language)
            assert not words.startswith("operation."), words
            assert "{" not in words
    assert {tag_of(operation) for operation in OPERATIONS} == set(TAGS)
    for tag in TAGS:
        assert set(catalogue()[f"tag.{tag}.name"]) == set(LANGUAGES)
        assert set(catalogue()[f"tag.{tag}.description"]) == set(LANGUAGES)
