"""`numbergroup run`."""

import asyncio
import signal
from collections.abc import Callable
from types import FrameType

from worker import telemetry
from worker.bootstrap import open_worker
from worker.brokers import embedded
from worker.brokers.connect import UnfitServer, connect
from worker.brokers.connect import check as check_server
from worker.brokers.port import BrokerUnavailable
from worker.cli.broker import broker_failure, broker_url, refusal, speaks_amqp
from worker.cli.endings import Failure
from worker.settings import Settings, SettingsError, load_settings, redact_url, require_accounts

_PATIENCE_S = 6.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = telemetry.get_logger("worker")


def run() -> None:
    """Raises `SettingsError` for what the operator has to change, `Failure` for what broke."""
    settings = load_settings()
    require_accounts(settings)
    url = broker_url(settings)
    telemetry.configure(settings.log_format, settings.log_level)
    if settings.broker_url is not None:
        asyncio.run(_work(settings, url))
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
        asyncio.run(_work(settings, url))
    finally:
        broker.stop()


async def _work(settings: Settings, url: str) -> None:
    opening = asyncio.current_task()
    assert opening is not None
    # Until there is a worker to stop, it is the waiting for the broker that has to end.
    stop: Callable[[], object] = opening.cancel

    def end() -> None:
        stop()

    _on_signals(end)
    try:
        async with open_worker(settings, url) as worker:
            stop = worker.stop
            await worker.run()
    except UnfitServer as error:
        raise SettingsError(str(error)) from None
    except asyncio.CancelledError:
        log.info("stopped before the broker was there")
        return
    except SettingsError:
        raise
    except Exception as error:
        # Not a traceback as Python prints it: phone numbers may be in it.
        log.critical("ended on an unexpected error", exc_info=True)
        raise Failure(
            f"the worker ended on an unexpected error, {type(error).__name__}: see its log"
        ) from None
    finally:
        # Nothing is left to stop: a signal must not spoil the exit code while the process winds up.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    log.info("stopped")


def _on_signals(action: Callable[[], object]) -> None:
    """Not the event loop's own handlers: closing the loop removes those, and the next signal kills."""
    loop = asyncio.get_running_loop()

    def handle(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(action)

    for number in _SIGNALS:
        signal.signal(number, handle)


def check() -> str:
    """What a worker with these settings would work with.

    Raises `SettingsError` like `run`, and `Failure` when no broker answers.
    """
    settings = load_settings()
    accounts = ", ".join(sorted(require_accounts(settings)))
    url = broker_url(settings)
    if settings.broker_url is None:
        return (
            f"settings are fine: accounts {accounts}; no broker is set, so that an embedded one will be used"
        )
    if speaks_amqp(url):
        _check_amqp(settings, url)
        return _fine(accounts, url)
    try:
        asyncio.run(_check(url))
    except UnfitServer as error:
        raise SettingsError(str(error)) from None
    except BrokerUnavailable as error:
        raise broker_failure(settings, error) from None
    return _fine(accounts, url)


def _fine(accounts: str, url: str) -> str:
    return f"settings are fine: accounts {accounts}; the broker at {redact_url(url)} answers"


def _check_amqp(settings: Settings, url: str) -> None:
    """Whether it answers, and takes the credentials and the virtual host."""
    from contracts.publishing.amqp_connection import connect, disconnect

    try:
        disconnect(connect(url, _PATIENCE_S))
    except Exception as error:
        if (said := refusal(error)) is not None:
            raise SettingsError(
                f"the broker refuses the credentials or the virtual host in NUMBERGROUP_BROKER_URL ({said})"
            ) from None
        raise broker_failure(settings, error) from None


async def _check(url: str) -> None:
    client = connect(url)
    try:
        await check_server(client)
    finally:
        await client.aclose()
