"""`numbergroup sandbox`."""

import asyncio

import typer
from pydantic import ValidationError

from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.signals import call_on_signals, ignore_signals
from numbergroup.sandbox.options import Options
from numbergroup.sandbox.server import start
from numbergroup.settings import NXCloudAccount, OzonetelAccount, SettingsError, load_settings

KEY, SECRET = "sandbox-key", "sandbox-secret"
USER, API_KEY = "sandbox", "sandbox-api-key"


def run(
    port: int,
    latency_ms: int,
    numbers_per_call: int,
    calls_per_second: int | None,
    strict_groups: bool,
    signature_lasts_s: float,
) -> None:
    """Takes the credentials of the configured accounts; for a vendor without any, a pair that it prints."""
    accounts = load_settings().accounts.values()
    ours = [one.credentials for one in accounts if isinstance(one, NXCloudAccount)]
    theirs = [one.credentials for one in accounts if isinstance(one, OzonetelAccount)]
    try:
        options = Options(
            credentials={one.name: one.secret for one in ours} or {KEY: SECRET},
            ozonetel_credentials={one.name: one.secret for one in theirs} or {USER: API_KEY},
            latency_ms=latency_ms,
            numbers_per_call=numbers_per_call,
            calls_per_second=calls_per_second,
            strict_groups=strict_groups,
            signature_lasts_s=signature_lasts_s,
        )
    except ValidationError:
        # Its message would say the secret.
        raise SettingsError(
            "the sandbox takes access keys, user names and secrets of 1 to 128 visible ASCII characters only"
        ) from None
    asyncio.run(_serve(options, port, nxcloud=bool(ours), ozonetel=bool(theirs)))


async def _serve(options: Options, port: int, *, nxcloud: bool, ozonetel: bool) -> None:
    stop = asyncio.Event()
    call_on_signals(asyncio.get_running_loop(), stop.set)
    try:
        sandbox = await start(options, port=port)
    except OSError as error:
        raise CommandError(f"cannot listen on 127.0.0.1:{port} ({error.strerror}): try --port 0") from None
    typer.echo(f"NXCloud sandbox on {sandbox.url} (help: {sandbox.origin}/)")
    if nxcloud:
        typer.echo(f"It accepts the configured accounts' credentials: {', '.join(options.credentials)}")
    else:
        typer.echo("A worker that uses it is configured with:")
        _say("DEFAULT", BASE_URL=sandbox.url, ACCESS_KEY=KEY, ACCESS_SECRET=SECRET)
    typer.echo(f"Ozonetel sandbox on {sandbox.origin}")
    if ozonetel:
        typer.echo(f"It accepts the configured accounts' users: {', '.join(options.ozonetel_credentials)}")
    else:
        typer.echo("A worker that uses it is configured with:")
        _say("OZONETEL", PROVIDER="ozonetel", BASE_URL=sandbox.origin, USERNAME=USER, API_KEY=API_KEY)
        typer.echo("and one of the vendor's three modes:")
        for mode in ("basic", "token", "legacy"):
            _say("OZONETEL", AUTH=mode)
    async with sandbox:
        await stop.wait()
        ignore_signals()


def _say(account: str, **settings: str) -> None:
    for name, value in settings.items():
        typer.echo(f"  export NUMBERGROUP_ACCOUNTS__{account}__{name}={value}")
