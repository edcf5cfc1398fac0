"""The command line: `diptych --help`. Needs the extra `cli`."""

import sys


def main() -> None:
    """Run the command that is named on the command line."""
    try:
        from diptych.edge.cli.commands import run
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.exit(f"{error.name} is missing: install diptych[cli] for the command line")
    run()
