"""`numbergroup dead-letters edit`."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import orjson
import typer

from numbergroup.cli.dead_letters.operator_session import OperatorSession
from numbergroup.cli.dead_letters.replaying import replay_letters
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.files import read_text
from numbergroup.cli.output import print_json
from numbergroup.engine.commands import Command, CommandKey, Entry, HandleKind
from numbergroup.engine.decoding.intake import Intake
from numbergroup.ledger.dead_letters.changing import LetterChanger
from numbergroup.ledger.dead_letters.letter import Letter, description_with
from numbergroup.ledger.dead_letters.reading import LetterReader
from numbergroup.text.escaping import escaped
from numbergroup.text.reading import UnreadableText, text_of


def run(letter_id: str, file: Path | None, *, replay: bool, as_json: bool) -> None:
    """Replace the event of the dead letter by that of `file`, or by what an editor makes of it.

    Raises `CommandError` when there is no such dead letter, or the new event is invalid.
    """
    if file is None and not sys.stdin.isatty():
        raise typer.BadParameter("standard input is not a terminal for an editor: give --file")
    session = OperatorSession()
    intake = session.make_intake()
    letter = session.find(letter_id)
    if file is not None:
        body = read_text(file).encode().strip()
        edited = replace_body(letter, body, decode_edited(letter, body, intake))
        _save(session, letter, edited, replay=replay, as_json=as_json)
        return
    draft = _Draft(letter.body)
    try:
        while (content := draft.edit()) is not None:
            try:
                body = _decode_draft(content)
                edited = replace_body(letter, body, decode_edited(letter, body, intake))
            except CommandError as failure:
                typer.echo(f"numbergroup: {failure}", err=True)
                if not typer.confirm("Edit it again?", default=True, err=True):
                    raise CommandError("nothing was changed") from None
                continue
            try:
                _save(session, letter, edited, replay=replay, as_json=as_json)
            except CommandError as failure:
                raise CommandError(f"{failure}\n  your edits are in {draft.keep()}") from None
            return
        typer.echo("nothing was changed", err=True)
    finally:
        draft.remove()


def decode_edited(letter: Letter, body: bytes, intake: Intake) -> Command:
    """Return the command of the new body. Raises `CommandError` when it is not a valid one for the letter."""
    entry = Entry(letter.partition, letter.entry, body)
    (item, *_) = intake.read(entry)
    if entry.is_array:
        raise CommandError("the new event must be one event, not an array")
    if not isinstance(item, Command):
        raise CommandError(f"the new event is not a valid command: {item.message}")
    before = letter.details.command
    if before is not None and item.key != CommandKey(before.source, before.id):
        raise CommandError(
            f"the new event must keep the source {escaped(before.source)} and the id {escaped(before.id)}"
        )
    return item


def replace_body(letter: Letter, body: bytes, command: Command) -> Letter:
    """Return the dead letter with a new body and the `command` in it. Its error is kept."""
    ref = command.group
    description = description_with(
        letter,
        command={"id": command.key.id, "source": command.key.source, "type": command.type},
        account=ref.account,
        group=None if ref.kind is HandleKind.OWN else f"{ref.kind}:{ref.name}",
    )
    original = letter.body if letter.original is None else letter.original
    fields = {**letter.fields, b"letter": description, b"body": body, b"original": original}
    return Letter(letter.partition, letter.entry, fields)


def _save(session: OperatorSession, letter: Letter, edited: Letter, *, replay: bool, as_json: bool) -> None:
    async def work(reader: LetterReader, changer: LetterChanger) -> tuple[bool, Letter | None, int]:
        now_ms = round((await reader.server_time()).timestamp() * 1000)
        saved = await changer.edit(session.make_action("edit"), letter, edited, now_ms)
        found = await reader.find([letter.id])
        return saved, found.get(letter.id), await reader.read_partition_count()

    saved, current, partitions = session.run(work)
    if not saved:
        raise CommandError(
            f"{escaped(letter.id)} was removed or edited by others meanwhile: nothing was changed"
        )
    if not as_json:
        typer.echo(f"edited {escaped(letter.id)}")
    if replay and current is not None:
        action = session.make_action("replay")
        result = replay_letters(session, [current.position], action, partitions=partitions, force=False)
        result.report("replayed", {"edited": letter.id} if as_json else None)
    elif as_json:
        print_json({"edited": letter.id})


def _decode_draft(content: bytes) -> bytes:
    """Return the event in UTF-8, whatever encoding the editor used. Raises `CommandError`."""
    try:
        return text_of(content).encode().strip()
    except UnreadableText as error:
        raise CommandError(f"the edited file is not text: {error}") from None


class _Draft:
    """A temporary file for the editor, which only its owner can read."""

    def __init__(self, body: bytes) -> None:
        handle, name = tempfile.mkstemp(prefix="numbergroup-", suffix=".json")
        self._file = Path(name)
        with os.fdopen(handle, "wb") as out:
            out.write(_indent_json(body) + b"\n")
        self._kept = False
        self._before = self._file.read_bytes()

    def edit(self) -> bytes | None:
        """Open the editor. Return the new content, or `None` if nothing was changed.

        Raises `CommandError` when the editor does not start, fails or deletes the file.
        """
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        try:
            # The operator chooses the program and its arguments, as for git and crontab.
            code = subprocess.run([*shlex.split(editor), str(self._file)], check=False).returncode  # noqa: S603
        except (OSError, ValueError) as error:
            raise CommandError(f"the editor {editor!r} does not start ({error}): set EDITOR") from None
        if code:
            raise CommandError(f"the editor ended with exit code {code}: nothing was changed")
        try:
            written = self._file.read_bytes()
        except OSError as error:
            raise CommandError(f"the editor left no file ({error.strerror}): nothing was changed") from None
        return None if written == self._before else written

    def keep(self) -> Path:
        """Do not remove the file. Return its path."""
        self._kept = True
        return self._file

    def remove(self) -> None:
        """Remove the file, unless it is to be kept; also what the editor put in its place."""
        if self._kept:
            return
        if self._file.is_dir() and not self._file.is_symlink():
            shutil.rmtree(self._file, ignore_errors=True)
        else:
            self._file.unlink(missing_ok=True)


def _indent_json(body: bytes) -> bytes:
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)
    except ValueError:
        return body
