"""What each vendor's API can do, from the adapters."""

from docs.generator.markup import code, table

from numbergroup.engine.commands import CommandKind
from numbergroup.sandbox.help import HELP
from numbergroup.vendors import nxcloud, ozonetel
from numbergroup.vendors.port import Capabilities

_VENDORS = {"NXCloud": nxcloud.CAPABILITIES, "Ozonetel": ozonetel.CAPABILITIES}

_COMMANDS = {
    CommandKind.CREATE: "`create`",
    CommandKind.ADD: "`update`: `add`",
    CommandKind.DELETE: "`update`: `delete`",
    CommandKind.REPLACE: "`update`: `replace`",
    CommandKind.DELETE_GROUP: "`delete`",
    CommandKind.RENAME: "`rename`",
    CommandKind.LIST: "`list`",
}


def table_of() -> str:
    """A row for each thing that vendors differ in."""
    rows = [(_COMMANDS[kind], *(_yes(kind in one.commands) for one in _all())) for kind in _COMMANDS]
    rows += [
        ("numbers in a call", *(f"{one.numbers_per_call:,}" for one in _all())),
        ("answers number by number", *(_yes(one.results_per_number) for one in _all())),
        (f"{code('expiresAt')} of numbers", *(_yes(one.number_expiry) for one in _all())),
        ("an update can be sent again", *(_yes(one.idempotent) for one in _all())),
        ("a group can be looked for", *(_yes(CommandKind.LIST in one.commands) for one in _all())),
    ]
    return table(("", *_VENDORS), rows)


def sandbox() -> str:
    """What the sandbox answers to `GET /`."""
    return f"```text\n{HELP}```\n"


def _all() -> list[Capabilities]:
    return [*_VENDORS.values()]


def _yes(value: bool) -> str:
    return "yes" if value else "no"
