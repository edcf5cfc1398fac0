"""
Describe to OpenAPI what can be done with what a command made.
"""

from collections.abc import Mapping
from typing import Any

from diptych.edge.fastapi.settings import Endpoint


def operation_ids(endpoints: Mapping[str, Endpoint]) -> dict[str, str]:
    """A name for each route: that of its message, and the method where a message has several."""
    ids: dict[str, str] = {}
    for route, endpoint in endpoints.items():
        name, number = endpoint.message.__name__, 1
        while name in ids.values():
            number += 1
            name = f"{endpoint.message.__name__}{number}"
        ids[route] = name
    return ids


def links_of(route: str, endpoints: Mapping[str, Endpoint]) -> dict[str, Any]:
    """Every operation on or below the `Location` of what a command makes, by name."""
    location = endpoints[route].location
    if location is None:
        return {}
    ids, in_path, links = operation_ids(endpoints), _parameters(route), {}
    for other in endpoints:
        if other != route and (names := _along(location, other.partition(" ")[2])) is not None:
            parameters = {name: _value(found, in_path) for name, found in names.items()}
            links[ids[other]] = {"operationId": ids[other], "parameters": parameters}
    return links


def _along(location: str, path: str) -> dict[str, str] | None:
    """The parameters of a path that leads along a location, each with its name there; None where it doesn't."""
    there, here = location.split("/"), path.split("/")
    if len(here) < len(there):
        return None
    names: dict[str, str] = {}
    for wanted, segment in zip(there, here, strict=False):
        if _is_parameter(wanted) and _is_parameter(segment):
            names[segment[1:-1]] = wanted[1:-1]
        elif wanted != segment:
            return None
    rest = here[len(there) :]
    return None if any(map(_is_parameter, rest)) else names


def _value(name: str, in_path: frozenset[str]) -> str:
    if name == "result":
        return "$response.body"
    return f"$request.path.{name}" if name in in_path else f"$response.body#/{name}"


def _parameters(route: str) -> frozenset[str]:
    return frozenset(segment[1:-1] for segment in route.partition(" ")[2].split("/") if _is_parameter(segment))


def _is_parameter(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")
