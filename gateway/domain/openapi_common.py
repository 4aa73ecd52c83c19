"""What all operations of the public document share: keys, headers, problems."""

from typing import Any, Final

from shared.kernel.texts import Language, text

Json = dict[str, Any]

_SCHEME: Final = "api_key"
_PROBLEM_TYPE: Final = "application/problem+json"
_PARAMETERS: Final = "#/components/parameters/"
_RESPONSES: Final = "#/components/responses/"
_PROBLEM: Final[Json] = {"$ref": "#/components/schemas/Problem"}

#: References to the Idempotency-Key header, by whether an operation requires it.
IDEMPOTENCY_KEY: Final[dict[str, Json]] = {
    "required": {"$ref": _PARAMETERS + "IdempotencyKeyRequired"},
    "optional": {"$ref": _PARAMETERS + "IdempotencyKey"},
}

#: The problems that the document names, by status, with the code of the example.
_PROBLEMS: Final = {
    "400": "malformed_request",
    "401": "unauthenticated",
    "403": "scope_missing",
    "404": "not_found",
    "409": "idempotency_in_flight",
    "413": "body_too_large",
    "415": "unsupported_media_type",
    "422": "validation_failed",
    "503": "service_away",
    "504": "service_too_slow",
}
_FACTS: Final[dict[str, str | int]] = {
    "scope": "orders:write",
    "limit_bytes": 65536,
    "accepted": "application/json",
}


def scheme_of(scope: str | None) -> dict[str, list[str]]:
    """The security requirement of an operation: a key, with a scope if one is needed."""
    return {_SCHEME: [scope] if scope is not None else []}


def problem_responses(
    *,
    scoped: bool,
    repeatable: bool,
    with_body: bool,
    with_input: bool,
    found_by_path: bool,
    forwarded: bool,
) -> dict[str, Json]:
    """References to the problems that an operation of some kind may answer with."""
    applies = {
        "400": with_body,
        "401": True,
        "403": scoped,
        "404": found_by_path,
        "409": repeatable,
        "413": with_body,
        "415": with_body,
        "422": with_input or with_body,
        "503": True,
        "504": forwarded,
    }
    return {
        status: {"$ref": f"{_RESPONSES}Problem{status}"} for status, does in applies.items() if does
    }


def problem_schema_content(response: Json) -> Json:
    """A response that a service names for a refusal: whatever it says of it, it is a problem."""
    if "$ref" in response:
        return response
    content = {_PROBLEM_TYPE: {"schema": _PROBLEM}}
    examples = response.get("content", {}).get(_PROBLEM_TYPE, {})
    return {**response, "content": {_PROBLEM_TYPE: {**content[_PROBLEM_TYPE], **examples}}}


def common_components(language: Language) -> Json:
    """Components that every document has."""
    return {
        "schemas": {"Problem": _problem_schema(language)},
        "parameters": {
            "IdempotencyKeyRequired": _idempotency_key(language, required=True),
            "IdempotencyKey": _idempotency_key(language, required=False),
        },
        "responses": {f"Problem{status}": _problem(status, language) for status in _PROBLEMS},
        "securitySchemes": {
            _SCHEME: {
                "type": "http",
                "scheme": "bearer",
                "description": text("openapi.api_key", language=language),
            }
        },
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


def _problem(status: str, language: Language) -> Json:
    code = _PROBLEMS[status]
    headers = {"Retry-After": {"schema": {"type": "integer"}}} if status == "503" else {}
    example = {
        "type": f"urn:huitou:problem:{code}",
        "title": text(f"problem.{code}.title", language=language),
        "status": int(status),
        "detail": text(f"problem.{code}.detail", language=language, facts=_FACTS),
        "instance": "/v1/orders",
        "code": code,
        "request_id": "req_01kb3f8v2q0000000000000000",
    }
    return {
        "description": example["title"],
        **({"headers": headers} if headers else {}),
        "content": {_PROBLEM_TYPE: {"schema": _PROBLEM, "example": example}},
    }


def _problem_schema(language: Language) -> Json:
    line = {"type": "string"}
    pointed = {
        "type": "object",
        "required": ["pointer", "detail"],
        "properties": {"pointer": line, "detail": line},
    }
    return {
        "title": "Problem",
        "type": "object",
        "description": text("openapi.problem", language=language),
        "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": line,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": line,
            "instance": line,
            "code": line,
            "request_id": line,
            "errors": {"type": "array", "items": pointed},
            "facts": {
                "type": "object",
                "description": text("openapi.facts", language=language),
                "additionalProperties": {"type": ["string", "integer"]},
            },
        },
    }
