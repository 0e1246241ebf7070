"""`numbergroup replies`."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from numbergroup.cli.broker import broker_url, speaks_amqp
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.screen import print_json_line
from numbergroup.settings import load_settings
from numbergroup.text.escaping import escaped
from numbergroup_contracts import names


@dataclass(slots=True)
class Printer:
    """Prints results, all of them or the answers to `for_id`; `has_answer` once one of those was printed."""

    for_id: str | None
    has_answer: bool = False

    def show(self, body: bytes | str) -> bool:
        """Print the results of one message; whether that was all that is in it.

        Nothing of a message that somebody else wrote.
        """
        results = _results(body)
        shown = 0
        for result in results:
            if not (self.for_id is None or _answers(result, self.for_id)):
                continue
            print_json_line(orjson.dumps(result))
            shown += 1
            self.has_answer = self.for_id is not None
        return 0 < shown == len(results)

    def flush(self) -> None:
        sys.stdout.buffer.flush()


def run(follow: bool, for_id: str | None, queue: str | None, take: bool) -> None:
    """Raises `Failure` when no answer to `for_id` is there (yet). With `follow` it waits for one."""
    settings = load_settings()
    printer = Printer(for_id)
    if speaks_amqp(broker_url(settings)):
        from numbergroup.cli import replies_amqp

        replies_amqp.read(settings, queue or names.REPLIES, printer, follow=follow, take=take)
    else:
        from numbergroup.cli import replies_redis

        reading = replies_redis.read(settings, queue or names.REPLY_STREAM, printer, follow=follow, take=take)
        asyncio.run(reading)
    if for_id is not None and not printer.has_answer:
        raise CommandError(f"no answer to {escaped(for_id)} yet: --follow waits for it")


def _results(body: bytes | str) -> Sequence[object]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return []
    return found if isinstance(found, list) else [found]


def _answers(result: Any, for_id: str) -> bool:
    try:
        return bool(result["data"]["command"]["id"] == for_id)
    except (KeyError, TypeError):
        return False
