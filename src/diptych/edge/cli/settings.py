"""`diptych config`: what a command would work with."""

import typer

from diptych.edge.cli.options import LOG_URL, READ_URL, App, Json, Log, Read
from diptych.edge.cli.printing import print_facts, print_json

config: typer.Typer = typer.Typer(help="What this command would work with.", no_args_is_help=True)


@config.callback()
def of_config() -> None:
    """Keep `show` a command of its own: a lone one would take the place of the group."""


@config.command("show")
def show(context: typer.Context, app: App = "", log: Log = LOG_URL, read: Read = READ_URL, json: Json = False) -> None:
    """Tell the settings, and where each comes from."""
    given = {"app": app, "log": without_password(log), "read": without_password(read)}
    sources = {name: context.get_parameter_source(name) for name in given}
    where = {name: source.name.lower().replace("_", " ") if source else "" for name, source in sources.items()}
    if json:
        print_json({name: {"value": value, "from": where[name]} for name, value in given.items()})
    else:
        print_facts({name: f"{value or 'none'}  ({where[name]})" for name, value in given.items()}, as_json=False)


def without_password(url: str) -> str:
    """A URL that may be shown."""
    scheme, separator, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{user.partition(':')[0]}{at}{place}" if at else url
