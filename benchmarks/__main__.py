"""Run benchmarks by name: `python -m benchmarks [NAME …] [--backend sqlite|postgres] [--scale N] [--json]`."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict

import msgspec

from benchmarks import append, dispatch, project, visible
from benchmarks.compare import Result

BENCHMARKS: dict[str, Callable[[str, float], Awaitable[list[Result]]]] = {
    "append": append.run,
    "dispatch": dispatch.run,
    "project": project.run,
    "visible": visible.run,
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
    for name in options.name or BENCHMARKS:
        for result in asyncio.run(_measured(name, options)):
            sys.stdout.write((msgspec.json.encode(asdict(result)).decode() if options.json else result.line()) + "\n")


async def _measured(name: str, options: argparse.Namespace) -> list[Result]:
    return await BENCHMARKS[name](options.backend, options.scale)


if __name__ == "__main__":
    main()
