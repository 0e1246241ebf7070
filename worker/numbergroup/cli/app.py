"""All commands with their options. They import what they need when they run: starting up stays quick."""

from pathlib import Path
from typing import Annotated

import typer

from numbergroup.cli import pause_commands
from numbergroup.cli.dead_letters import app as dead_letters
from numbergroup.cli.error_handling import handle_errors
from numbergroup.cli.groups import app as groups_app

app = typer.Typer(
    name="numbergroup",
    help="Turns many group-change commands into few vendor API calls, and answers every one of them.",
    epilog="Settings come from NUMBERGROUP_… variables, or from the TOML file that NUMBERGROUP_CONFIG names.",
    no_args_is_help=True,
    rich_markup_mode=None,  # boxes are hard to read on narrow terminals, and in files
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="NDJSON: one event, or one bare `data` object, a line; - is standard input."
    ),
]


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"numbergroup {version('numbergroup')}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None: ...


@app.command()
def demo(
    commands: Annotated[
        int, typer.Option(metavar="N", min=1, max=200_000, help="How many commands to publish.")
    ] = 4_000,
    groups: Annotated[int, typer.Option(metavar="N", min=1, max=5_000, help="Over how many groups.")] = 36,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the commands that are made up.")] = 1,
    faults: Annotated[
        bool, typer.Option(help="Let the vendor throttle, fail and refuse now and then.")
    ] = True,
) -> None:
    """See it work, all embedded.

    Starts a broker, the vendor's sandbox and a worker, publishes sample commands and prints what happened.
    Exit code 0: every command has one answer, and the groups are what they should be.
    """
    from numbergroup.cli.demo import run

    with handle_errors():
        raise typer.Exit(run(commands, groups, seed, faults))


@app.command()
def run(
    check: Annotated[
        bool, typer.Option("--check", help="Only check the settings, the servers and the vendors.")
    ] = False,
) -> None:
    """Run the worker.

    SIGTERM, SIGHUP and Ctrl-C let it finish or hand back what is in flight, within 25 s. Without
    NUMBERGROUP_BROKER_URL it starts a broker of its own on 127.0.0.1:8901, for trying out.
    """
    with handle_errors():
        if check:
            from numbergroup.cli.checking import check as look

            typer.echo(look())
        else:
            from numbergroup.cli.run import run

            run()


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="0 takes a free one.")] = 8900,
    latency_ms: Annotated[
        int, typer.Option(metavar="N", min=0, max=3_600_000, help="How long every call takes.")
    ] = 0,
    numbers_per_call: Annotated[
        int, typer.Option(metavar="N", min=1, help="More numbers are refused; by Ozonetel's, more than 100.")
    ] = 1000,
    calls_per_second: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="More calls to a vendor are answered with 429; by default none are."
        ),
    ] = None,
    strict_groups: Annotated[
        bool,
        typer.Option("--strict-groups", help="Refuse NXCloud updates of groups that were never created."),
    ] = False,
    signature_lasts_s: Annotated[
        float,
        typer.Option(
            metavar="S", min=0.1, max=3600, help="How far an NXCloud request's time may be from the clock."
        ),
    ] = 60.0,
) -> None:
    """Run the vendors' APIs on loopback.

    NXCloud's, and Ozonetel's in its three modes (AUTH: basic, token, legacy). It takes the credentials of the
    configured accounts; for a vendor without any it prints what to set. Faults come on demand: GET / explains
    each, and what else there is to see and to set.
    """
    from numbergroup.cli.sandbox import run

    with handle_errors():
        run(port, latency_ms, numbers_per_call, calls_per_second, strict_groups, signature_lasts_s)


@app.command()
def publish(
    file: File,
    batch: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="Events a message; 1 sends them alone.")
    ] = 1,
    source: Annotated[
        str, typer.Option(metavar="NAME", help="`source` of the events made from bare data.")
    ] = "cli",
    account: Annotated[
        str | None, typer.Option(metavar="NAME", help="`account` of the events made from bare data.")
    ] = None,
    exchange: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE",
            help="What RabbitMQ's exchange for several partitions is, should the broker not let us ask: "
            "x-consistent-hash or direct.",
        ),
    ] = None,
) -> None:
    """Publish commands from a file.

    Bare data may be an update, a create or a list; its command gets a new id every time. Nothing is sent
    when a line of the file is no command.
    """
    from numbergroup.cli.publish import run

    with handle_errors():
        run(file, batch, source, account, exchange)


@app.command()
def replies(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more.")] = False,
    for_id: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="ID",
            help="Only the answers to this command, the latest last: a replay gives one more. With --follow, "
            "waits for the first one.",
        ),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="By default the stream numbergroup:replies on Redis, where it may also be a list for kombu; "
            "numbergroup.replies on RabbitMQ.",
        ),
    ] = None,
    take: Annotated[
        bool,
        typer.Option(
            "--take",
            help="Remove from the queue what was printed: a message goes when all results in it were.",
        ),
    ] = False,
) -> None:
    """Print results, oldest first.

    One JSON object a line. They stay in the queue, unless --take is given. On RabbitMQ, other consumers
    get what is being looked at only when this command has ended.
    """
    from numbergroup.cli.replies import run

    with handle_errors():
        run(follow, for_id, queue, take)


@app.command()
def plan(
    file: File,
    numbers: Annotated[
        bool, typer.Option("--numbers", help="List every number with the command that decides it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, every number in it.")] = False,
) -> None:
    """Show the calls that commands would cost.

    As if all commands of the file waited already. Nothing is sent. Bare data goes by its line's number.
    """
    from numbergroup.cli.plan import run

    with handle_errors():
        run(file, numbers, as_json)


@app.command()
def status(
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object; with --watch, one a line.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again every 2 s.")] = False,
) -> None:
    """Show how everything stands.

    Workers and partitions, what waits, which accounts and groups are paused, parked or quarantined and
    why, breakers, dead letters by fingerprint and the workers' cap of them, and what was published under a
    misspelt name that no worker reads. Exit code 0 also when no worker is running; 1 when the ledger or
    the broker does not answer.
    """
    from numbergroup.cli.status import run

    with handle_errors():
        run(as_json, watch)


app.add_typer(pause_commands.pause, name="pause")
app.add_typer(pause_commands.resume, name="resume")
app.add_typer(dead_letters)
app.add_typer(groups_app)
