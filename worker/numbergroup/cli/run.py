"""`numbergroup run`."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from numbergroup.bootstrap import open_worker
from numbergroup.brokers.redis import embedded
from numbergroup.brokers.redis.connect import UnfitServer
from numbergroup.cli.broker import broker_url
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.signals import call_on_signals, ignore_signals
from numbergroup.observability import logging
from numbergroup.settings import Settings, SettingsError, load_settings, require_accounts

_GC_THRESHOLDS = (500_000, 20, 50)
_GC_POLL_S = 10.0
_GC_MAX_INTERVAL_S = 300.0

log = logging.get_logger("worker")


def run() -> None:
    """Run a worker until a signal stops it.

    Raises `SettingsError` for what the operator has to correct, and `CommandError` when the worker fails.
    """
    settings = load_settings()
    require_accounts(settings)
    url = broker_url(settings)
    logging.configure(settings.log_format, settings.log_level)
    if settings.broker_url is not None:
        asyncio.run(_run_worker(settings, url))
        return
    try:
        broker = embedded.start(embedded.PORT)
    except OSError as error:
        raise CommandError(
            f"the embedded broker cannot listen on 127.0.0.1:{embedded.PORT} ({error.strerror}): "
            "is another worker running? Set NUMBERGROUP_BROKER_URL to use a broker of your own"
        ) from None
    log.warning("embedded broker: for trying out, it keeps nothing on disk", broker=broker.url)
    try:
        asyncio.run(_run_worker(settings, url))
    finally:
        broker.stop()


async def _run_worker(settings: Settings, url: str) -> None:
    opening = asyncio.current_task()
    assert opening is not None  # only outside of a task
    # While the worker is being opened, it may be waiting for the broker: a signal cancels that.
    stop: Callable[[], object] = opening.cancel

    def stop_running() -> None:
        stop()

    call_on_signals(asyncio.get_running_loop(), stop_running)
    try:
        async with open_worker(settings, url, reload_settings=load_settings) as worker:
            stop = worker.stop
            async with _collect_garbage_when_idle(lambda: worker.pending_count):
                await worker.run()
    except UnfitServer as error:
        raise SettingsError(str(error)) from None
    except asyncio.CancelledError:
        log.info("stopped before broker and ledger answered")
        return
    except SettingsError:
        raise
    except Exception as error:
        # Logged, not printed by Python: the traceback may contain phone numbers.
        log.critical("ended on an unexpected error", exc_info=True)
        raise CommandError(
            f"the worker ended on an unexpected error, {type(error).__name__}: see its log"
        ) from None
    finally:
        ignore_signals()
    log.info("stopped")


@asynccontextmanager
async def _collect_garbage_when_idle(pending_count: Callable[[], int]) -> AsyncIterator[None]:
    """Collect cyclic garbage when no commands are pending, or after some minutes.

    Each collection walks through all pending commands, which fit into no cache: with Python's own thresholds
    that took up to a third of the processor time. Nearly all objects are freed by their reference counts.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    collector = asyncio.create_task(_collect_garbage(pending_count))
    try:
        yield
    finally:
        collector.cancel()


async def _collect_garbage(pending_count: Callable[[], int]) -> None:
    last = time.monotonic()
    while True:
        await asyncio.sleep(_GC_POLL_S)
        if not pending_count() or time.monotonic() - last >= _GC_MAX_INTERVAL_S:
            gc.collect()
            last = time.monotonic()
