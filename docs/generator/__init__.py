"""The parts of the reference that are made from the code, so that no page can differ from it.

A page contains a part where it says `{{ name }}` on a line of its own; `hooks.py` puts it there at build
time."""

import re
from collections.abc import Callable, Mapping

from docs.generator import (
    commands,
    contract,
    exit_codes,
    group_states,
    ledger_keys,
    log_events,
    metrics,
    settings,
    vendors,
)

PARTS: Mapping[str, Callable[[], str]] = {
    "settings of the worker": settings.of_the_worker,
    "settings of every account": settings.of_every_account,
    "settings of an NXCloud account": lambda: settings.of_a_vendor("nxcloud"),
    "settings of an Ozonetel account": lambda: settings.of_a_vendor("ozonetel"),
    "parameters of URLs": settings.of_urls,
    "commands": commands.page,
    "exit codes": exit_codes.table_of,
    "picture of a group's states": group_states.picture,
    "states of a group": group_states.states,
    "transitions of a group": group_states.table_of,
    "metrics": metrics.table_of,
    "log events": log_events.tables,
    "retried steps": log_events.steps,
    "ledger keys of a partition": ledger_keys.of_a_partition,
    "ledger keys": ledger_keys.of_all,
    "commands on the wire": contract.commands,
    "attributes of commands": contract.attributes,
    "results on the wire": contract.results,
    "statuses": contract.statuses,
    "kinds of errors": contract.kinds_of_errors,
    "dead letters": contract.dead_letters,
    "schemas": contract.schemas,
    "vendors": vendors.table_of,
    "the sandbox's help": vendors.sandbox,
}
_MARK = re.compile(r"^\{\{ (.+) \}\}$", re.MULTILINE)


def expand(markdown: str) -> str:
    """The page with its generated parts. Raises `KeyError` for a part that does not exist."""
    return _MARK.sub(lambda mark: PARTS[mark[1]](), markdown)


def parts_of(markdown: str) -> list[str]:
    """The names of the generated parts that a page has."""
    return _MARK.findall(markdown)
