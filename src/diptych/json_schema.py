"""
Describe what JSON a type has, so that two descriptions can be compared.

JSON Schema, and two things more than msgspec's own says: what the keys of an object
are (`propertyNames`), and that a text is a time. No word of it is a title or a
description: those may change.
"""

from collections.abc import Callable
from typing import Any

from msgspec import inspect
from msgspec.inspect import Type

_SIMPLE: dict[type[Type], dict[str, Any]] = {
    inspect.NoneType: {"type": "null"},
    inspect.BoolType: {"type": "boolean"},
    inspect.DateTimeType: {"type": "string", "format": "date-time"},
    inspect.DateType: {"type": "string", "format": "date"},
    inspect.TimeType: {"type": "string", "format": "time"},
    inspect.TimeDeltaType: {"type": "string", "format": "duration"},
    inspect.UUIDType: {"type": "string", "format": "uuid"},
    inspect.DecimalType: {"type": "string", "format": "decimal"},
}
_BOUNDS = {
    "ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum", "multiple_of": "multipleOf",
    "pattern": "pattern",
}  # fmt: skip


def schema_of(kind: Any) -> dict[str, Any]:
    """
    The JSON Schema of a type.

    Raises:
        TypeError: JSON has no form for it that msgspec knows.
    """
    description = _Description()
    schema = description.of(inspect.type_info(kind))
    return schema | ({"$defs": description.definitions} if description.definitions else {})


class _Description:
    """A schema that is being written, and the classes that it refers to."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}
        self._names: dict[Any, str] = {}

    def of(self, info: Type) -> dict[str, Any]:
        if simple := _SIMPLE.get(type(info)):
            return simple
        if how := _HOW.get(type(info)):
            return how(self, info)
        raise TypeError(f"JSON has no form for {info}")

    def number(self, info: Any) -> dict[str, Any]:
        return {"type": "integer" if isinstance(info, inspect.IntType) else "number"} | _bounds(info)

    def text(self, info: Any) -> dict[str, Any]:
        return {"type": "string"} | _bounds(info) | _length(info, "Length")

    def bytes(self, info: Any) -> dict[str, Any]:
        return {"type": "string", "contentEncoding": "base64"} | _length(info, "Length")

    def choice(self, info: Any) -> dict[str, Any]:
        values = info.values if isinstance(info, inspect.LiteralType) else [member.value for member in info.cls]
        return {"enum": sorted(values, key=lambda value: (type(value).__name__, value))}

    def union(self, info: Any) -> dict[str, Any]:
        return {"anyOf": [self.of(each) for each in info.types]}

    def array(self, info: Any) -> dict[str, Any]:
        return {"type": "array", "items": self.of(info.item_type)} | _length(info, "Items")

    def tuple(self, info: Any) -> dict[str, Any]:
        return _tuple([self.of(each) for each in info.item_types], at_least=len(info.item_types))

    def mapping(self, info: Any) -> dict[str, Any]:
        is_text = type(info.key_type) in (inspect.StrType, inspect.AnyType)
        keys = {} if is_text else {"propertyNames": self.of(info.key_type)}
        return {
            "type": "object",
            "additionalProperties": self.of(info.value_type),
            **keys,
            **_length(info, "Properties"),
        }

    def referred(self, info: Any) -> dict[str, Any]:
        """A class, described once however often it occurs, in itself too."""
        name = self._names.get(info.cls)
        if name is None:
            taken = sum(known.__name__ == info.cls.__name__ for known in self._names)
            name = self._names[info.cls] = f"{info.cls.__name__}{taken or ''}"
            self.definitions[name] = {}
            self.definitions[name] = self._class(info)
        return {"$ref": f"#/$defs/{name}"}

    def _class(self, info: Any) -> dict[str, Any]:
        tag = getattr(info, "tag", None)
        fields = [("", {"enum": [tag]}, True)] if tag is not None else []
        fields += [(each.encode_name, self._field(each), each.required) for each in info.fields]
        if isinstance(info, inspect.NamedTupleType) or getattr(info, "array_like", False):
            return _tuple([field for _, field, _ in fields], at_least=sum(required for *_, required in fields))
        named = [(name or info.tag_field, field, required) for name, field, required in fields]
        closed = {"additionalProperties": False} if getattr(info, "forbid_unknown_fields", False) else {}
        properties = {name: field for name, field, _ in named}
        return {"type": "object", "properties": properties, "required": [n for n, _, req in named if req]} | closed

    def _field(self, field: inspect.Field) -> dict[str, Any]:
        simple = isinstance(field.default, str | int | float | None)
        return self.of(field.type) | ({"default": field.default} if simple else {})


_HOW: dict[type[Type], Callable[[_Description, Any], dict[str, Any]]] = {
    inspect.IntType: _Description.number,
    inspect.FloatType: _Description.number,
    inspect.StrType: _Description.text,
    inspect.EnumType: _Description.choice,
    inspect.LiteralType: _Description.choice,
    inspect.UnionType: _Description.union,
    inspect.Metadata: lambda description, info: description.of(info.type),
    inspect.TupleType: _Description.tuple,
    inspect.DictType: _Description.mapping,
    **dict.fromkeys((inspect.BytesType, inspect.ByteArrayType, inspect.MemoryViewType), _Description.bytes),
    **dict.fromkeys(
        (inspect.ListType, inspect.SetType, inspect.FrozenSetType, inspect.VarTupleType), _Description.array
    ),
    **dict.fromkeys(
        (inspect.StructType, inspect.DataclassType, inspect.TypedDictType, inspect.NamedTupleType),
        _Description.referred,
    ),
    **dict.fromkeys((inspect.AnyType, inspect.RawType), lambda description, info: {}),
}


def _tuple(items: list[dict[str, Any]], at_least: int) -> dict[str, Any]:
    return {"type": "array", "prefixItems": items, "minItems": at_least, "maxItems": len(items), "items": False}


def _bounds(info: Any) -> dict[str, Any]:
    found = {name: getattr(info, attribute, None) for attribute, name in _BOUNDS.items()}
    return {name: bound for name, bound in found.items() if bound is not None}


def _length(info: Any, of: str) -> dict[str, Any]:
    found = {f"min{of}": info.min_length, f"max{of}": info.max_length}
    return {name: bound for name, bound in found.items() if bound is not None}
