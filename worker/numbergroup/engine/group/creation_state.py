"""What is known of a group's creation: the intent of an open create, and the create that was answered."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from numbergroup.engine.calls import Refused
from numbergroup.engine.commands import Command, CommandKey, CommandKind
from numbergroup.engine.doubt import CreateIntent
from numbergroup.engine.group.creation import intent_after_create, intent_of_command, is_recorded_for


@dataclass(slots=True)
class CreationState:
    """One group's creation, by this engine or by an earlier owner of its partition."""

    intent: CreateIntent | None = None
    """The intent of a create that may have been carried out, and was not answered."""
    is_recorded: bool = False
    """Whether the ledger has an intent of this group that a settlement must still close."""
    is_guess: bool = False
    """Whether the intent was made up for a create that an earlier owner may have sent."""
    suspected: dict[CommandKey, float] = field(default_factory=dict)
    """Creates that an earlier owner may have sent, with the time until which each may take effect."""
    created_by: Command | None = None
    """The create that created the group, while it is not settled."""
    request_id: str | None = None
    """The requestId of the answer to it."""
    created_group: CreateIntent | None = None
    """The intent to record in the ledger in place of the one of the create that was answered."""
    has_failed: bool = False
    """Whether the create failed before, with an answer that leaves open whether the group was created."""
    refusal_count: int = 0
    """How often the create was refused while it was in doubt: the group may exist all the same."""
    refusal: Refused | None = None
    """The last of those refusals."""

    @property
    def identity(self) -> CreateIntent | None:
        """What identifies the group for a successor, while its create is not settled."""
        return self.intent if self.created_by is None else self.created_group

    def note_created(self, create: Command, group_id: str | None, request_id: str | None) -> None:
        """Record that the command `create` has created the group."""
        self.created_by = create
        self.created_group = intent_after_create(create, group_id)
        self.request_id = request_id
        self.intent = None
        self.forget_failures()

    def forget_failures(self) -> None:
        """Reset what is known of failed creates: the group was created, or the command is settled."""
        self.has_failed, self.refusal_count, self.refusal = False, 0, None

    def adopt_intent(self, intent: CreateIntent, command: Command, *, may_be_older: bool) -> None:
        """Adopt the ledger's intent of a create that an earlier worker may have sent.

        This engine's own intent has precedence. `may_be_older`: whether the intent may be the one of a create
        before `command`.
        """
        # The same intent may have been adopted with a command before the create.
        if self.is_recorded and intent != self.intent:
            return
        is_of_command = is_recorded_for(intent, command)
        command.attempted |= is_of_command
        # The intent of a failed create stays in the ledger, for the next create.
        if is_of_command or may_be_older:
            self.intent, self.is_recorded = intent, True

    def suspect(self, command: Command, until: float) -> None:
        """Record that an earlier owner may have sent the command in an unrecorded call.

        Such a call takes effect before `until` or never. A suspected create is looked up before it is sent.
        """
        command.attempted |= command.expires_at is not None
        if command.kind is CommandKind.CREATE:
            self.suspected[command.key] = until

    def guess_intent(self, create: Command) -> None:
        """Make up the intent of a suspected create, so that its group is looked up first."""
        until = self.suspected.get(create.key)
        if until is not None and self.intent is None:
            self.intent = intent_of_command(create, until)
            self.is_recorded = self.is_guess = True

    def clear_suspicion(self, commands: Iterable[Command]) -> None:
        """Clear these creates of suspicion: none of them has created a group."""
        if self.suspected:
            for command in commands:
                self.suspected.pop(command.key, None)
