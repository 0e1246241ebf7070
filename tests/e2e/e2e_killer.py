"""`numbergroup run`, which dies of certain messages as if a parser or a driver had brought the process down.

`KILLED_BY_READING`: a text; who decodes a message that has it dies. `KILLED_BY_LOOKING`: the same, also of
looking at its beginning only. `KILLED_BY_CALLING`: a phone number; who is about to make a call with it dies.
`BROKEN_BY_READING`: a text; decoding a message that has it raises what nobody expects.
"""

import os
import signal
from typing import Any

from numbergroup.cli import main
from numbergroup.engine.calls import Call
from numbergroup.engine.commands import Command, Entry
from numbergroup.engine.decoding.intake import Intake
from numbergroup.engine.verdicts import Refusal
from numbergroup.vendors.client import Caller

READING, LOOKING, CALLING = "KILLED_BY_READING", "KILLED_BY_LOOKING", "KILLED_BY_CALLING"
BREAKING = "BROKEN_BY_READING"

_read, _run = Intake.read, Caller.run


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _reads(text: str | None, entry: Entry) -> bool:
    return text is not None and text.encode() in entry.body


def _deadly_read(self: Intake, entry: Entry) -> list[Command | Refusal]:
    if entry.problem is None and _reads(os.environ.get(READING), entry):
        _die()
    if not entry.ignore_body and _reads(os.environ.get(LOOKING), entry):
        _die()
    if entry.problem is None and _reads(os.environ.get(BREAKING), entry):
        raise RuntimeError("nobody expects this")
    return _read(self, entry)


async def _deadly_run(self: Caller, call: Call, *more: Any, **rest: Any) -> Any:
    if os.environ.get(CALLING) in call.numbers:
        _die()
    return await _run(self, call, *more, **rest)


if __name__ == "__main__":
    Intake.read = _deadly_read  # type: ignore[method-assign]
    Caller.run = _deadly_run  # type: ignore[method-assign]
    main()
