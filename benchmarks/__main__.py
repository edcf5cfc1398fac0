"""Run benchmarks by name: `python -m benchmarks [NAME …] [--backend sqlite|postgres] [--scale N] [--json]`."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TypeAlias

import msgspec

from benchmarks import (
    append,
    append_growth,
    append_many,
    append_postgres,
    dispatch,
    http,
    page,
    project,
    project_postgres,
    rebuild,
    visible,
    visible_elsewhere,
)
from benchmarks.compare import Result

Run: TypeAlias = Callable[[float], Awaitable[list[Result]]]
BENCHMARKS: dict[str, dict[str, Run]] = {
    "append": {"sqlite": append.run, "postgres": append_postgres.run},
    "append-many": {"postgres": append_many.run},
    "append-growth": {"postgres": append_growth.run},
    "dispatch": {"sqlite": dispatch.run},
    "http": {"postgres": http.run},
    "page": {"sqlite": page.run, "postgres": page.run_postgres},
    "project": {"sqlite": project.run, "postgres": project_postgres.run},
    "rebuild": {"sqlite": rebuild.run, "postgres": rebuild.run_postgres},
    "visible": {"sqlite": visible.run, "postgres": visible_elsewhere.run},
}
LEAST = 0.1


def main() -> None:
    """Measure what was named, or everything, and print a row for each comparison."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(BENCHMARKS)}; none for all")
    parser.add_argument("--backend", default="sqlite", choices=["sqlite", "postgres"], help="where the log rests")
    parser.add_argument("--scale", type=float, default=1.0, help=f"how much to do, 1 is the usual, {LEAST} the least")
    parser.add_argument("--json", action="store_true", help="an object a row")
    options = parser.parse_args()
    if unknown := set(options.name) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}: known are {', '.join(BENCHMARKS)}")
    if not options.scale >= LEAST:
        parser.error(f"--scale {options.scale}: less than {LEAST} measures nothing")
    for name in options.name or [name for name, backends in BENCHMARKS.items() if options.backend in backends]:
        if options.backend not in BENCHMARKS[name]:
            parser.error(f"{name} has no other side on {options.backend}: say --backend {next(iter(BENCHMARKS[name]))}")
        for result in asyncio.run(_measured(BENCHMARKS[name][options.backend], options.scale)):
            sys.stdout.write((msgspec.json.encode(asdict(result)).decode() if options.json else result.line()) + "\n")


async def _measured(run: Run, scale: float) -> list[Result]:
    return await run(scale)


if __name__ == "__main__":
    main()
