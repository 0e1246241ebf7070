"""How far a unit is settled on RabbitMQ, where a settlement takes several steps."""

from dataclasses import dataclass, field

from numbergroup.engine.settling.dead_letters import DeadLetterRecord
from numbergroup.engine.settling.settlement import Reply


@dataclass(slots=True)
class SettleProgress:
    """How far a unit is settled. A repeated `settle` continues from there.

    - `replies`: those that are not confirmed.
    - `write_serial`: the serial of the unit's write to the ledger.
    - `dead_letters`: those of replies that are too large, until they are written.
    - `is_recorded`: the unit is in the ledger.
    """

    serial: int
    replies: list[Reply] = field(default_factory=list)
    write_serial: int = 0
    dead_letters: list[DeadLetterRecord] = field(default_factory=list)
    is_recorded: bool = False
    is_done: bool = False
