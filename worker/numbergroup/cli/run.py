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

_PATIENCE_S = 6.0
_COLLECT_AFTER = (500_000, 20, 50)
_LOOK_S = 10.0
_COLLECT_WITHIN_S = 300.0

log = logging.get_logger("worker")


def run() -> None:
    """Raises `SettingsError` for what the operator has to change, `Failure` for what broke."""
    settings = load_settings()
    require_accounts(settings)
    url = broker_url(settings)
    logging.configure(settings.log_format, settings.log_level)
    if settings.broker_url is not None:
        asyncio.run(_work(settings, url))
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

    call_on_signals(asyncio.get_running_loop(), end)
    try:
        async with open_worker(settings, url, reload_settings=load_settings) as worker:
            stop = worker.stop
            async with _collected_rarely(lambda: worker.pending_count):
                await worker.run()
    except UnfitServer as error:
        raise SettingsError(str(error)) from None
    except asyncio.CancelledError:
        log.info("stopped before broker and ledger were there")
        return
    except SettingsError:
        raise
    except Exception as error:
        # Not a traceback as Python prints it: phone numbers may be in it.
        log.critical("ended on an unexpected error", exc_info=True)
        raise CommandError(
            f"the worker ended on an unexpected error, {type(error).__name__}: see its log"
        ) from None
    finally:
        ignore_signals()
    log.info("stopped")


@asynccontextmanager
async def _collected_rarely(in_hand: Callable[[], int]) -> AsyncIterator[None]:
    """Look for cycles when nothing is in hand, or after minutes, and not whenever Python would: what waits in
    memory is looked through each time, and fits no cache, which took up to a third of all processor time.
    Nearly everything goes by its reference count, at once."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    collecting = asyncio.create_task(_collect(in_hand))
    try:
        yield
    finally:
        collecting.cancel()


async def _collect(in_hand: Callable[[], int]) -> None:
    last = time.monotonic()
    while True:
        await asyncio.sleep(_LOOK_S)
        if not in_hand() or time.monotonic() - last >= _COLLECT_WITHIN_S:
            gc.collect()
            last = time.monotonic()
