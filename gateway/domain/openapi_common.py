"""What all operations of the public document share: keys, headers, the shape of a problem."""

from typing import Any, Final

from shared.kernel.texts import Language, text

Json = dict[str, Any]

PROBLEM_CONTENT_TYPE: Final = "application/problem+json"

_SCHEME: Final = "api_key"
_PARAMETERS: Final = "#/components/parameters/"
_HEADERS: Final = "#/components/headers/"

#: References to the Idempotency-Key header, by whether an operation requires it.
IDEMPOTENCY_KEY: Final[dict[str, Json]] = {
    "required": {"$ref": _PARAMETERS + "IdempotencyKeyRequired"},
    "optional": {"$ref": _PARAMETERS + "IdempotencyKey"},
}
#: Headers of answers, with their schemas and examples. The words are under `openapi.header`.
_REPLY_HEADERS: Final[dict[str, Json]] = {
    "X-Request-Id": {"schema": {"type": "string"}, "example": "req_01kb3f8v2q0000000000000000"},
    "Idempotency-Replayed": {"schema": {"type": "string", "const": "true"}},
    "WWW-Authenticate": {"schema": {"type": "string"}, "example": "Bearer"},
    "Allow": {"schema": {"type": "string"}, "example": "GET, HEAD, POST"},
    "Retry-After": {"schema": {"type": "integer", "minimum": 0}, "example": 1},
}
_FACTS: Final[dict[str, str | int]] = {
    "scope": "orders:write",
    "limit_bytes": 65536,
    "accepted": "application/json",
}


def scheme_of(scope: str | None) -> dict[str, list[str]]:
    """The security requirement of an operation: a key, with a scope if one is needed."""
    return {_SCHEME: [scope] if scope is not None else []}


def header(name: str) -> Json:
    """A header of an answer, by reference."""
    return {name: {"$ref": _HEADERS + name}}


def common_components(language: Language) -> Json:
    """Components that every document has."""
    return {
        "schemas": {"Problem": _problem_schema(language)},
        "parameters": {
            "IdempotencyKeyRequired": _idempotency_key(language, required=True),
            "IdempotencyKey": _idempotency_key(language, required=False),
        },
        "headers": {name: _reply_header(name, language) for name in _REPLY_HEADERS},
        "securitySchemes": {
            _SCHEME: {
                "type": "http",
                "scheme": "bearer",
                "description": text("openapi.api_key", language=language),
            }
        },
    }


def problem_example(code: str, *, status: int, language: Language) -> Json:
    """A problem as it is sent."""
    return {
        "type": f"urn:huitou:problem:{code}",
        "title": text(f"problem.{code}.title", language=language),
        "status": status,
        "detail": text(f"problem.{code}.detail", language=language, facts=_FACTS),
        "instance": "/v1/orders",
        "code": code,
        "request_id": "req_01kb3f8v2q0000000000000000",
    }


def _idempotency_key(language: Language, *, required: bool) -> Json:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": required,
        "description": text("openapi.idempotency_key", language=language),
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "pattern": r"^[\x21-\x7e]+$",
        },
        "example": "6d6a3f0e-1b5b-4c8e-9d4f-0a9b6a2c7d11",
    }


def _reply_header(name: str, language: Language) -> Json:
    key = name.lower().replace("-", "_")
    return {"description": text(f"openapi.header.{key}", language=language), **_REPLY_HEADERS[name]}


def _problem_schema(language: Language) -> Json:
    def described(name: str, schema: Json) -> Json:
        return {**schema, "description": text(f"openapi.problem_{name}", language=language)}

    line = {"type": "string"}
    pointed = {
        "type": "object",
        "required": ["pointer", "detail"],
        "properties": {"pointer": described("pointer", line), "detail": described("reason", line)},
    }
    status = {"type": "integer", "minimum": 400, "maximum": 599}
    facts = {"type": "object", "additionalProperties": {"type": ["string", "integer"]}}
    properties = {
        "type": described("type", {"type": "string", "format": "uri"}),
        "title": described("title", line),
        "status": described("status", status),
        "detail": described("detail", line),
        "instance": described("instance", line),
        "code": described("code", line),
        "request_id": described("request_id", line),
        "errors": described("errors", {"type": "array", "items": pointed}),
        "facts": {**facts, "description": text("openapi.facts", language=language)},
    }
    return {
        "title": "Problem",
        "type": "object",
        "description": text("openapi.problem", language=language),
        "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
        "properties": properties,
    }
