"""`numbergroup replies`."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from numbergroup.cli.broker import broker_url, is_amqp_url
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.output import print_json_line
from numbergroup.settings import load_settings
from numbergroup.text.escaping import escaped
from numbergroup_contracts import names


@dataclass(slots=True)
class Printer:
    """Prints results: all of them, or those of the command `for_id`.

    `has_answer`: whether a result of that command was printed.
    """

    for_id: str | None
    has_answer: bool = False

    def print_message(self, body: bytes | str) -> bool:
        """Print the results of a message, and nothing if it is not JSON.

        Returns whether all results in it were printed.
        """
        results = _decode_results(body)
        printed = 0
        for result in results:
            if not (self.for_id is None or _is_result_of(result, self.for_id)):
                continue
            print_json_line(orjson.dumps(result))
            printed += 1
            self.has_answer = self.for_id is not None
        return 0 < printed == len(results)

    def flush(self) -> None:
        """Write what was printed."""
        sys.stdout.buffer.flush()


def run(queue: str | None, for_id: str | None, *, follow: bool, remove: bool) -> None:
    """Print the results in the queue; `None` is the default queue.

    With `follow`, waits for more, or for the first result of `for_id`. Otherwise raises `CommandError` when
    there is no result of `for_id`.
    """
    settings = load_settings()
    printer = Printer(for_id)
    if is_amqp_url(broker_url(settings)):
        from numbergroup.cli import replies_amqp

        replies_amqp.read(settings, queue or names.REPLIES, printer, follow=follow, remove=remove)
    else:
        from numbergroup.cli import replies_redis

        reading = replies_redis.read(
            settings, queue or names.REPLY_STREAM, printer, follow=follow, remove=remove
        )
        asyncio.run(reading)
    if for_id is not None and not printer.has_answer:
        raise CommandError(f"no result of {escaped(for_id)} yet: wait for it with --follow")


def _decode_results(body: bytes | str) -> Sequence[object]:
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError:
        return []
    return message if isinstance(message, list) else [message]


def _is_result_of(result: Any, for_id: str) -> bool:
    try:
        return bool(result["data"]["command"]["id"] == for_id)
    except (KeyError, TypeError):
        return False
