"""The one public OpenAPI document, merged from what the services say and the policy table."""

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.domain.openapi_answers import answers_of
from gateway.domain.openapi_common import IDEMPOTENCY_KEY, common_components, scheme_of
from gateway.domain.openapi_examples import with_whole_examples
from gateway.domain.openapi_parts import Json, Part, take
from gateway.domain.openapi_problems import takes_key
from gateway.policy import OPERATIONS, Operation
from shared.kernel.texts import Language, text

#: The groups of operations, in the order in which they are shown.
TAGS: Final = (
    "members",
    "orders",
    "points",
    "checkout",
    "tiers",
    "vouchers",
    "referrals",
    "segments",
    "audit",
    "access",
    "operations",
    "clock",
)
_KIB: Final = 1024


def merged_document(parts: Sequence[Part], *, version: str, language: Language) -> Json:
    """Merge the parts; only what stands in the policy table is shown."""
    paths: dict[str, Json] = {}
    schemas: dict[str, Json] = {}
    problems: dict[str, Json] = {}
    used: set[str] = set()
    for part in parts:
        rows = [row for row in OPERATIONS if row.service == part.service]
        taken = take(part, rows, language=language)
        schemas.update(taken.schemas)
        for row in rows:
            if row.id in taken.operations:
                found = with_whole_examples(taken.operations[row.id], schemas=taken.schemas)
                answers = answers_of(row, found, language=language)
                operation = _operation(row, found, answers=answers.by_status, language=language)
                paths.setdefault(row.path, {})[row.method.lower()] = operation
                problems.update(answers.components)
                used.add(tag_of(row))
    components = common_components(language)
    components["schemas"] = {**schemas, **components["schemas"]}
    components["responses"] = dict(sorted(problems.items()))
    return {
        "openapi": "3.1.0",
        "info": _info(parts, version, language),
        "servers": [{"url": "/"}],
        "tags": [_tag(tag, language) for tag in sorted(used, key=_place)],
        "paths": _in_order(paths),
        "components": components,
    }


def summary_of(row: Operation, *, language: Language) -> str:
    """What an operation does, in few words. The services' common operations share their words."""
    if row.path.startswith("/v1/services/"):
        key = row.id.replace(row.service, "service", 1)
        return text(f"operation.{key}", language=language, facts={"service": row.service})
    return text(f"operation.{row.id}", language=language)


def tag_of(row: Operation) -> str:
    """The group an operation belongs to."""
    return row.scope.partition(":")[0] if row.scope is not None else "access"


def _operation(row: Operation, found: Json, *, answers: Json, language: Language) -> Json:
    kept = {name: value for name, value in found.items() if name not in ("tags", "summary")}
    if "requestBody" in kept:
        kept["requestBody"] = {
            "description": _body_limit(row, language),
            **kept["requestBody"],
        }
    return {
        "tags": [text(f"tag.{tag_of(row)}.name", language=language)],
        "summary": summary_of(row, language=language),
        **kept,
        "description": _description(row, found, language),
        "parameters": _parameters(row, found),
        "responses": answers,
        "security": [scheme_of(row.scope)],
        "x-scope": row.scope,
    }


def _description(row: Operation, found: Json, language: Language) -> str:
    own = found.get("description", "")
    if row.scope is None:
        needed = text("openapi.any_key", language=language)
    else:
        needed = text("openapi.scope", language=language, facts={"scope": row.scope})
    return f"{own}\n\n{needed}".strip()


def _body_limit(row: Operation, language: Language) -> str:
    kib = row.body_bytes // _KIB
    limit = f"{kib} KiB" if kib < _KIB else f"{kib // _KIB} MiB"
    return text("openapi.body_limit", language=language, facts={"limit": limit})


def _parameters(row: Operation, found: Json) -> list[Json]:
    own: list[Json] = found.get("parameters", [])
    others = [one for one in own if one.get("name", "").lower() != "idempotency-key"]
    if not takes_key(row, found):
        return others
    return [*others, IDEMPOTENCY_KEY["required" if row.keyed else "optional"]]


def _info(parts: Sequence[Part], version: str, language: Language) -> Json:
    away = [part.service for part in parts if not part.current]
    note = text("openapi.away", language=language, facts={"services": ", ".join(away)})
    words = text("openapi.description", language=language)
    return {
        "title": text("openapi.title", language=language),
        "version": version,
        "description": f"{words}\n\n**{note}**" if away else words,
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        "x-parts": {part.service: _state(part) for part in parts},
    }


def _state(part: Part) -> str:
    if part.current:
        return "current"
    return "last_known" if part.document is not None else "missing"


def _tag(tag: str, language: Language) -> Json:
    return {
        "name": text(f"tag.{tag}.name", language=language),
        "description": text(f"tag.{tag}.description", language=language),
    }


def _place(tag: str) -> int:
    """Groups that nobody has given a place come last."""
    return TAGS.index(tag) if tag in TAGS else len(TAGS)


def _in_order(paths: Mapping[str, Json]) -> dict[str, Json]:
    order = list(dict.fromkeys(row.path for row in OPERATIONS))
    return {path: paths[path] for path in order if path in paths}
