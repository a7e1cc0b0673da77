"""Constrained decoding in small: whatever the scientist says, the reply has the schema's shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

Schema = Mapping[str, Any]


class Unfit(ValueError):
    """A value cannot be said within a schema."""


def fit(value: object, schema: Schema, root: Schema | None = None) -> Any:
    """`value` as far as `schema` lets it through.

    Unknown keys and list items that do not fit are left out, long texts and lists are cut, keys
    that are missing get the emptiest value there is; what does not fit where null may stand is
    null.

    Raises:
        Unfit: nothing of the value can be kept.
    """
    root = root or schema
    schema = resolved(schema, root)
    if "anyOf" in schema:
        return _any(value, schema["anyOf"], root)
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if allowed is not None:
        if value not in allowed:
            raise Unfit(f"{value!r} is none of {allowed!r}.")
        return value
    match schema.get("type"), value:
        case "object", dict():
            return _object(cast("dict[str, Any]", value), schema, root)
        case "array", list():
            return _array(cast("list[Any]", value), schema, root)
        case "string", str():
            return value[: schema.get("maxLength")]
        case ("null", None) | ("boolean", bool()):
            return value
        case ("integer" | "number") as kind, int() | float() if not isinstance(value, bool):
            return _number(value, kind, schema)
        case kind, _:
            raise Unfit(f"{str(value)[:80]!r} is no {kind}.")


def resolved(schema: Schema, root: Schema) -> Schema:
    """The schema itself, or what its `$ref` points at."""
    while "$ref" in schema:
        reference: str = schema["$ref"]
        schema = root
        for key in reference.removeprefix("#/").split("/"):
            schema = schema[key]
    return schema


def at(schema: Schema, *path: str) -> Schema | None:
    """The schema of a field, through lists and nullable objects; None if there is no such field."""
    root, found = schema, [schema]
    for key in path:
        found = [
            resolved(option["properties"][key], root)
            for here in found
            for option in _objects(here, root)
            if key in option.get("properties", {})
        ]
    return found[0] if found else None


def choices(schema: Schema, *path: str) -> list[str] | None:
    """The strings that a field may be; None where any may, or where there is no such field."""
    field = at(schema, *path)
    if field is None:
        return None
    if field.get("type") == "array":
        field = resolved(field["items"], schema)
    options = [resolved(option, schema) for option in field.get("anyOf", [field])]
    values = [v for option in options for v in (option.get("enum") or [option.get("const")])]
    return [value for value in values if isinstance(value, str)] or None


def _objects(schema: Schema, root: Schema) -> Sequence[Schema]:
    options = [resolved(option, root) for option in schema.get("anyOf", [schema])]
    return [
        resolved(option["items"], root) if option.get("type") == "array" else option
        for option in options
    ]


def _any(value: object, options: Sequence[Schema], root: Schema) -> Any:
    for option in options:
        try:
            return fit(value, option, root)
        except Unfit:
            continue
    if any(resolved(option, root).get("type") == "null" for option in options):
        return None
    raise Unfit(f"{str(value)[:80]!r} fits no alternative.")


def _object(value: Mapping[str, Any], schema: Schema, root: Schema) -> dict[str, Any]:
    required = schema.get("required", ())
    return {
        key: fit(value[key], field, root) if key in value else _blank(field, root)
        for key, field in schema.get("properties", {}).items()
        if key in value or key in required
    }


def _array(value: Sequence[Any], schema: Schema, root: Schema) -> list[Any]:
    kept: list[Any] = []
    for item in value:
        try:
            kept.append(fit(item, schema["items"], root))
        except Unfit:
            continue
    if len(kept) < schema.get("minItems", 0):
        raise Unfit(f"Only {len(kept)} items of {len(value)} fit.")
    return kept[: schema.get("maxItems")]


def _number(value: float, kind: str, schema: Schema) -> float:
    bounded = min(max(value, schema.get("minimum", value)), schema.get("maximum", value))
    return int(bounded) if kind == "integer" else bounded


def _blank(schema: Schema, root: Schema) -> Any:
    schema = resolved(schema, root)
    emptiest: list[Any] = [None, "", [], {}, False, 0, *schema.get("enum", ())]
    for value in [*emptiest, schema.get("const")]:
        try:
            return fit(value, schema, root)
        except Unfit:
            continue
    raise Unfit(f"Nothing empty fits {str(schema)[:80]}.")
