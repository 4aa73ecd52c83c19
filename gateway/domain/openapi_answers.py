"""What an operation of the public document may answer: its successes and its refusals."""

from dataclasses import dataclass

from gateway.domain.openapi_common import header
from gateway.domain.openapi_parts import Json
from gateway.domain.openapi_problems import (
    common_codes,
    common_problem,
    component_name,
    nature_of,
    own_problem,
)
from gateway.policy import Operation
from shared.kernel.texts import Language, text

_RESPONSES = "#/components/responses/"


@dataclass(frozen=True, kw_only=True)
class Answers:
    """An operation's answers by status, and the components that they refer to, by name."""

    by_status: Json
    components: Json


def answers_of(row: Operation, found: Json, *, language: Language) -> Answers:
    """The answers a service names, as problems from 400 on, and those that any operation gives."""
    nature = nature_of(row, found)
    common = common_codes(nature)
    by_status: Json = {}
    components: Json = {}
    for status, codes in common.items():
        name = component_name(codes)
        by_status[status] = {"$ref": f"{_RESPONSES}{name}"}
        components[name] = common_problem(status, codes, language=language)
    for status, response in found.get("responses", {}).items():
        if not status.isdigit():
            continue
        if int(status) < 400:
            by_status[status] = _success(response, repeatable=nature.repeatable, language=language)
            continue
        replaced = by_status.get(status, {}).get("$ref", "").removeprefix(_RESPONSES)
        components.pop(replaced, None)
        by_status[status] = own_problem(
            status,
            response,
            common=common.get(status, ()),
            replayed=nature.repeatable,
            language=language,
        )
    return Answers(by_status=dict(sorted(by_status.items())), components=components)


def _success(response: Json, *, repeatable: bool, language: Language) -> Json:
    """FastAPI's words for an answer that nobody described are replaced by ours."""
    described = dict(response)
    if response.get("description") == "Successful Response":
        described["description"] = text("openapi.success", language=language)
    replayed = header("Idempotency-Replayed") if repeatable else {}
    return {**described, "headers": {**header("X-Request-Id"), **replayed}}
