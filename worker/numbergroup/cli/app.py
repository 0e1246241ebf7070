"""All commands with their options. The modules with the work are imported when a command runs."""

from pathlib import Path
from typing import Annotated

import typer

from numbergroup.cli import pause_commands
from numbergroup.cli.dead_letters import app as dead_letters_app
from numbergroup.cli.error_handling import handle_errors
from numbergroup.cli.groups import app as groups_app

app = typer.Typer(
    name="numbergroup",
    help="Merges many phone-number group commands into few vendor API calls, and answers every command.",
    epilog="Settings are NUMBERGROUP_… variables, or the TOML file that NUMBERGROUP_CONFIG names.",
    no_args_is_help=True,
    rich_markup_mode=None,  # boxes are hard to read on narrow terminals, and in files
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

CommandFile = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="NDJSON: an event, or the bare `data` of one, a line; - is standard input."
    ),
]


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        typer.echo(f"numbergroup {version('numbergroup')}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


@app.command()
def demo(
    commands: Annotated[
        int, typer.Option(metavar="N", min=1, max=200_000, help="Number of commands to publish.")
    ] = 4_000,
    groups: Annotated[int, typer.Option(metavar="N", min=1, max=5_000, help="Number of groups.")] = 36,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the random commands.")] = 1,
    faults: Annotated[
        bool, typer.Option(help="Make the vendor throttle, fail and refuse calls now and then.")
    ] = True,
) -> None:
    """Run everything in one process, and show what it does.

    Starts a broker, the vendor sandbox and a worker, publishes sample commands and prints a report. Exit
    code 0: every command has exactly one answer, and all groups have the right numbers.
    """
    from numbergroup.cli.demo import run

    with handle_errors():
        raise typer.Exit(run(commands, groups, seed, with_faults=faults))


@app.command()
def run(
    check: Annotated[
        bool, typer.Option("--check", help="Only check settings, servers and vendors, then exit.")
    ] = False,
) -> None:
    """Run the worker.

    On SIGTERM, SIGHUP and Ctrl-C it finishes or hands back what is in flight, within 25 s. Without
    NUMBERGROUP_BROKER_URL it starts an embedded broker on 127.0.0.1:8901, for trying out.
    """
    with handle_errors():
        if check:
            from numbergroup.cli.checking import check_setup

            typer.echo(check_setup())
        else:
            from numbergroup.cli.run import run

            run()


@app.command()
def sandbox(
    *,
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port to listen on; 0 chooses a free one.")
    ] = 8900,
    latency_ms: Annotated[
        int, typer.Option(metavar="N", min=0, max=3_600_000, help="Duration of every call, in ms.")
    ] = 0,
    numbers_per_call: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Refuse calls with more numbers. Ozonetel's limit is at most 100."
        ),
    ] = 1000,
    calls_per_second: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Answer more calls to a vendor with 429. Default: no rate limit."
        ),
    ] = None,
    strict_groups: Annotated[
        bool,
        typer.Option("--strict-groups", help="Refuse NXCloud updates of groups that were never created."),
    ] = False,
    signature_lasts_s: Annotated[
        float,
        typer.Option(
            metavar="S", min=0.1, max=3600, help="How far the time of an NXCloud request may be off, in s."
        ),
    ] = 60.0,
) -> None:
    """Run the vendors' APIs on loopback.

    They are NXCloud's, and Ozonetel's with its three ways to log in (AUTH: basic, token, legacy). The sandbox
    accepts the credentials of the configured accounts. For a vendor without accounts it prints settings to
    use. GET / explains how to inject faults and how to inspect the groups.
    """
    from numbergroup.cli.sandbox import run

    with handle_errors():
        run(
            port,
            latency_ms=latency_ms,
            numbers_per_call=numbers_per_call,
            calls_per_second=calls_per_second,
            strict_groups=strict_groups,
            signature_lasts_s=signature_lasts_s,
        )


@app.command()
def publish(
    file: CommandFile,
    batch: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="Events in a message; 1 sends each alone.")
    ] = 1,
    source: Annotated[
        str, typer.Option(metavar="NAME", help="`source` of events that are made from bare data.")
    ] = "cli",
    account: Annotated[
        str | None, typer.Option(metavar="NAME", help="`account` of events that are made from bare data.")
    ] = None,
    exchange: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE",
            help="Type of RabbitMQ's exchange, if there are several partitions and the broker does not let "
            "us ask: x-consistent-hash or direct.",
        ),
    ] = None,
) -> None:
    """Publish commands from a file.

    Bare data may be an update, a create or a list. It gets a new id each time. If any line is invalid,
    nothing is published.
    """
    from numbergroup.cli.publish import run

    with handle_errors():
        run(file, batch=batch, source=source, account=account, exchange=exchange)


@app.command()
def replies(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more results.")] = False,
    for_id: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="ID",
            help="Print only the results of this command, the latest last; a replay adds one. With --follow, "
            "wait for the first one.",
        ),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The reply queue: a stream or a list of kombu on Redis, a queue on RabbitMQ. Default: the "
            "stream numbergroup:replies, or the queue numbergroup.replies.",
        ),
    ] = None,
    remove: Annotated[
        bool,
        typer.Option(
            "--take",
            help="Remove printed results from the queue: a message, when all its results were printed.",
        ),
    ] = False,
) -> None:
    """Print results, oldest first.

    One JSON object a line. Results stay in the queue unless --take is given. On RabbitMQ, other consumers
    cannot receive the results while this command runs.
    """
    from numbergroup.cli.replies import run

    with handle_errors():
        run(queue, for_id, follow=follow, remove=remove)


@app.command()
def plan(
    file: CommandFile,
    numbers: Annotated[
        bool, typer.Option("--numbers", help="List all numbers, each with the command that decides it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, with all numbers.")] = False,
) -> None:
    """Show the calls that commands would need.

    It assumes that all commands of the file wait together. Nothing is sent. Bare data is named by its line.
    """
    from numbergroup.cli.plan import run

    with handle_errors():
        run(file, all_numbers=numbers, as_json=as_json)


@app.command()
def status(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object; with --watch, one a line.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Repeat every 2 s.")] = False,
) -> None:
    """Show the status of workers, accounts and groups.

    Also the backlog of each partition, breakers, dead letters by fingerprint, and messages in queues with a
    misspelt name, which no worker reads. Exit code 0 also when no worker is running; 1 when the ledger or
    the broker does not answer.
    """
    from numbergroup.cli.status import run

    with handle_errors():
        run(as_json=as_json, watch=watch)


app.add_typer(pause_commands.pause, name="pause")
app.add_typer(pause_commands.resume, name="resume")
app.add_typer(dead_letters_app)
app.add_typer(groups_app)
