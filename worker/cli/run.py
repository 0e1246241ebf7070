"""`numbergroup run`."""

import asyncio
import signal

from worker import telemetry
from worker.bootstrap import open_worker
from worker.brokers import embedded
from worker.brokers.connect import UnfitServer
from worker.cli.endings import Failure
from worker.settings import Settings, SettingsError, load_settings, require_accounts

log = telemetry.get_logger("worker")


def run() -> None:
    """Raises `SettingsError` for what the operator has to change, `Failure` for what broke."""
    settings = load_settings()
    require_accounts(settings)
    telemetry.configure(settings.log_format, settings.log_level)
    if settings.broker_url is not None:
        asyncio.run(_work(settings, settings.broker_url.get_secret_value()))
        return
    try:
        broker = embedded.start(embedded.PORT)
    except OSError as error:
        raise Failure(
            f"the embedded broker cannot listen on 127.0.0.1:{embedded.PORT} ({error.strerror}): "
            "is another worker running? Set NUMBERGROUP_BROKER_URL to use a broker of your own"
        ) from None
    log.warning("embedded broker: for trying out, it keeps nothing on disk", broker=broker.url)
    try:
        asyncio.run(_work(settings, broker.url))
    finally:
        broker.stop()


async def _work(settings: Settings, broker_url: str) -> None:
    try:
        async with open_worker(settings, broker_url) as worker:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, worker.stop)
            await worker.run()
    except UnfitServer as error:
        raise SettingsError(str(error)) from None
    log.info("stopped")
