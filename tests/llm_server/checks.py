"""What a server refuses: wrong keys, broken bodies, unknown models, malformed schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tests.llm_server.replies import Failure


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class _Message(_Open):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None


class _Schema(_Open):
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class _Plain(_Open):
    type: Literal["text", "json_object"]


class _JsonSchema(_Open):
    type: Literal["json_schema"]
    json_schema: _Schema


class _Body(_Open):
    model: str = Field(min_length=1)
    messages: list[_Message] = Field(min_length=1)
    response_format: Annotated[_Plain | _JsonSchema, Field(discriminator="type")] | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    max_tokens: Annotated[int, Field(gt=0)] | None = None
    max_completion_tokens: Annotated[int, Field(gt=0)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


def refused_key(headers: Mapping[str, str], required: str | None) -> Failure | None:
    """401 unless the key is the required one. Like OpenAI's, it repeats part of the wrong key."""
    given = headers.get("authorization", "").removeprefix("Bearer ")
    if required is None or given == required:
        return None
    if not given:
        return Failure(401, "You didn't provide an API key.")
    shown = f"{given[:8]}{'*' * max(0, len(given) - 12)}{given[8:][-4:]}"
    return Failure(401, f"Incorrect API key provided: {shown}.", "invalid_api_key")


def refused_body(body: Any, models: Sequence[str]) -> Failure | None:
    """400 for a body that is no request, 404 for a model that is not among `models` (if any)."""
    if body is None:
        return Failure(400, "We could not parse the JSON body of your request.")
    try:
        request = _Body.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        return Failure(400, f"Invalid value for '{place}': {first['msg']}.", param=place)
    if models and request.model not in models:
        message = f"The model `{request.model}` does not exist or you do not have access to it."
        return Failure(404, message, "model_not_found")
    if request.top_logprobs is not None and not request.logprobs:
        return Failure(400, "'top_logprobs' needs 'logprobs' to be true.", param="top_logprobs")
    return _loose_schema(request.response_format)


def refused_logprobs(body: Mapping[str, Any]) -> Failure | None:
    """400 for a body that wishes for log-probabilities, as from a model that gives none."""
    if not body.get("logprobs"):
        return None
    model = body["model"]
    return Failure(400, f"'logprobs' is not supported with model {model}.", param="logprobs")


def _loose_schema(response_format: _Plain | _JsonSchema | None) -> Failure | None:
    if not isinstance(response_format, _JsonSchema) or not response_format.json_schema.strict:
        return None
    schema = response_format.json_schema
    if schema.schema_.get("type") != "object":
        fault = "schema must be a JSON Schema of type 'object'"
    else:
        fault = next(_loose(schema.schema_, ()), None)
    if fault is None:
        return None
    message = f"Invalid schema for response_format '{schema.name}': {fault}."
    return Failure(400, message, "invalid_json_schema", param="response_format")


def _loose(schema: Mapping[str, Any], place: tuple[str, ...]) -> Iterator[str]:
    """What OpenAI refuses in a strict schema."""
    properties: Mapping[str, Any] = schema.get("properties", {})
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            yield f"In context={place}, 'additionalProperties' is required to be false"
        missing = sorted(set(properties) - set(schema.get("required", ())))
        if missing:
            yield f"In context={place}, 'required' lacks {', '.join(missing)}"
    if "default" in schema:
        yield f"In context={place}, 'default' is not permitted"
    if "$ref" in schema and len(schema) > 1:
        yield f"In context={place}, $ref cannot have keywords beside it"
    for keyword in ("properties", "$defs"):
        for name, inner in schema.get(keyword, {}).items():
            yield from _loose(inner, (*place, keyword, name))
    for index, inner in enumerate(schema.get("anyOf", ())):
        yield from _loose(inner, (*place, "anyOf", str(index)))
    if "items" in schema:
        yield from _loose(schema["items"], (*place, "items"))
