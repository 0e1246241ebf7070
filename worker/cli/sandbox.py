"""`numbergroup sandbox`."""

import asyncio
import signal

import typer
from pydantic import ValidationError

from worker.cli.endings import Failure
from worker.sandbox.options import Options
from worker.sandbox.server import start
from worker.settings import SettingsError, load_settings

KEY, SECRET = "sandbox-key", "sandbox-secret"


def run(
    port: int,
    latency_ms: int,
    numbers_per_call: int,
    calls_per_second: int | None,
    strict_groups: bool,
    signature_lasts_s: float,
) -> None:
    """Takes the credentials of the configured accounts; without any, a pair that it prints."""
    accounts = load_settings().accounts.values()
    credentials = {one.access_key: one.access_secret.get_secret_value() for one in accounts}
    try:
        options = Options(
            credentials=credentials or {KEY: SECRET},
            latency_ms=latency_ms,
            numbers_per_call=numbers_per_call,
            calls_per_second=calls_per_second,
            strict_groups=strict_groups,
            signature_lasts_s=signature_lasts_s,
        )
    except ValidationError:
        # Its message would say the secret.
        raise SettingsError(
            "the sandbox takes access keys and secrets of 1 to 128 visible ASCII characters only"
        ) from None
    asyncio.run(_serve(options, port, configured=bool(credentials)))


async def _serve(options: Options, port: int, *, configured: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        sandbox = await start(options, port=port)
    except OSError as error:
        raise Failure(f"cannot listen on 127.0.0.1:{port} ({error.strerror}): try --port 0") from None
    typer.echo(f"NXCloud sandbox on {sandbox.url} (help: {sandbox.origin}/)")
    if configured:
        typer.echo(f"It accepts the configured accounts' credentials: {', '.join(options.credentials)}")
    else:
        typer.echo("A worker that uses it is configured with:")
        for name, value in (("BASE_URL", sandbox.url), ("ACCESS_KEY", KEY), ("ACCESS_SECRET", SECRET)):
            typer.echo(f"  export NUMBERGROUP_ACCOUNTS__DEFAULT__{name}={value}")
    async with sandbox:
        await stop.wait()
