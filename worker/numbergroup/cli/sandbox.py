"""`numbergroup sandbox`."""

import asyncio

import typer
from pydantic import ValidationError

from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.signals import call_on_signals, ignore_signals
from numbergroup.sandbox.options import Options
from numbergroup.sandbox.server import start
from numbergroup.settings import NXCloudAccount, OzonetelAccount, SettingsError, load_settings

_ACCESS_KEY, _ACCESS_SECRET = "sandbox-key", "sandbox-secret"
_USERNAME, _API_KEY = "sandbox", "sandbox-api-key"


def run(
    port: int,
    *,
    latency_ms: int,
    numbers_per_call: int,
    calls_per_second: int | None,
    strict_groups: bool,
    signature_lasts_s: float,
) -> None:
    """Run the sandbox until a signal stops it.

    It accepts the credentials of the configured accounts; for a vendor without accounts, a pair that it
    prints.
    """
    accounts = load_settings().accounts.values()
    nxcloud = [account.credentials for account in accounts if isinstance(account, NXCloudAccount)]
    ozonetel = [account.credentials for account in accounts if isinstance(account, OzonetelAccount)]
    try:
        options = Options(
            credentials={pair.name: pair.secret for pair in nxcloud} or {_ACCESS_KEY: _ACCESS_SECRET},
            ozonetel_credentials={pair.name: pair.secret for pair in ozonetel} or {_USERNAME: _API_KEY},
            latency_ms=latency_ms,
            numbers_per_call=numbers_per_call,
            calls_per_second=calls_per_second,
            strict_groups=strict_groups,
            signature_lasts_s=signature_lasts_s,
        )
    except ValidationError:
        # The message of the error would contain the secret.
        raise SettingsError(
            "the sandbox accepts access keys, user names and secrets of 1 to 128 visible ASCII characters"
        ) from None
    asyncio.run(_serve(options, port, has_nxcloud=bool(nxcloud), has_ozonetel=bool(ozonetel)))


async def _serve(options: Options, port: int, *, has_nxcloud: bool, has_ozonetel: bool) -> None:
    stop = asyncio.Event()
    call_on_signals(asyncio.get_running_loop(), stop.set)
    try:
        sandbox = await start(options, port=port)
    except OSError as error:
        raise CommandError(f"cannot listen on 127.0.0.1:{port} ({error.strerror}): try --port 0") from None
    typer.echo(f"NXCloud sandbox on {sandbox.url} (help: {sandbox.origin}/)")
    if has_nxcloud:
        typer.echo(f"It accepts the configured accounts' credentials: {', '.join(options.credentials)}")
    else:
        typer.echo("A worker that uses it is configured with:")
        _print_settings("DEFAULT", BASE_URL=sandbox.url, ACCESS_KEY=_ACCESS_KEY, ACCESS_SECRET=_ACCESS_SECRET)
    typer.echo(f"Ozonetel sandbox on {sandbox.origin}")
    if has_ozonetel:
        typer.echo(f"It accepts the configured accounts' users: {', '.join(options.ozonetel_credentials)}")
    else:
        typer.echo("A worker that uses it is configured with:")
        _print_settings(
            "OZONETEL", PROVIDER="ozonetel", BASE_URL=sandbox.origin, USERNAME=_USERNAME, API_KEY=_API_KEY
        )
        typer.echo("and one of the vendor's three modes:")
        for mode in ("basic", "token", "legacy"):
            _print_settings("OZONETEL", AUTH=mode)
    async with sandbox:
        await stop.wait()
        ignore_signals()


def _print_settings(account: str, **settings: str) -> None:
    for name, value in settings.items():
        typer.echo(f"  export NUMBERGROUP_ACCOUNTS__{account}__{name}={value}")
