"""
Describe what JSON a type has, so that two descriptions can be compared.
"""

from typing import Any

import msgspec


def schema_of(kind: Any) -> Any:
    """The JSON Schema of a type, without its words: they may change."""
    return _bare(msgspec.json.schema(kind))


def _bare(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_bare(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {each: _bare(field) for each, field in part.items()} if name == "properties" else _bare(part)
        for name, part in schema.items()
        if name not in ("description", "title")
    }
