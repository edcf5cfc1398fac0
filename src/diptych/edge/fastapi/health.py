"""
Say whether the process lives, and whether it can serve requests.
"""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from diptych.edge.fastapi.description import described_problems
from diptych.edge.fastapi.problems import problem
from diptych.edge.fastapi.requests import MessageRoute
from diptych.edge.fastapi.settings import running_of


def add_health(router: APIRouter) -> None:
    """Serve `/livez` and `/readyz`, which mean what they mean to Kubernetes."""
    for path, endpoint, summary in (
        ("/livez", livez, "Whether the process is alive"),
        ("/readyz", readyz, "Whether it can serve requests"),
    ):
        router.add_api_route(
            path,
            endpoint,
            methods=["GET"],
            summary=summary,
            tags=["health"],
            response_model=dict[str, str],
            responses=described_problems({503: "Not now"}) if path == "/readyz" else None,
            route_class_override=MessageRoute,
        )


async def livez() -> dict[str, str]:
    """The process is alive."""
    return {"status": "alive"}


async def readyz(request: Request) -> Response:
    """200 where requests can be served, else 503 and why."""
    ready, why = await running_of(request).ready()
    return JSONResponse({"status": why}) if ready else problem(503, "not-ready", why)
