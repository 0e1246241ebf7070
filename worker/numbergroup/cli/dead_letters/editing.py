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
from numbergroup.cli.dead_letters.replaying import carry_out_replay
from numbergroup.cli.error_handling import CommandError
from numbergroup.cli.files import read_text
from numbergroup.cli.screen import print_json
from numbergroup.engine.commands import Command, CommandKey, Entry, HandleKind
from numbergroup.engine.decoding.intake import Intake
from numbergroup.ledger.dead_letters.changing import LetterChanger
from numbergroup.ledger.dead_letters.letter import Letter, description_with
from numbergroup.ledger.dead_letters.reading import LetterReader
from numbergroup.text.escaping import escaped
from numbergroup.text.reading import UnreadableText, text_of


def run(letter_id: str, file: Path | None, replay: bool, as_json: bool) -> None:
    """Raises `Failure` when there is no such letter, or the new event is no command of the same id."""
    if file is None and not sys.stdin.isatty():
        raise typer.BadParameter("nobody is at a terminal to edit it: give --file")
    session = OperatorSession()
    intake = Intake(session.settings.max_message_bytes, session.settings.spellings)
    letter = _find(session, letter_id)
    if file is not None:
        body = read_text(file).encode().strip()
        _save(session, letter, body, read_edited(letter, body, intake), replay, as_json)
        return
    draft = _Draft(letter.body)
    try:
        while (edited := draft.edit()) is not None:
            try:
                body = _body_of(edited)
                command = read_edited(letter, body, intake)
            except CommandError as failure:
                typer.echo(f"numbergroup: {failure}", err=True)
                if not typer.confirm("Edit it again?", default=True, err=True):
                    raise CommandError("nothing was changed") from None
                continue
            try:
                _save(session, letter, body, command, replay, as_json)
            except CommandError as failure:
                raise CommandError(f"{failure}\n  what you wrote is in {draft.keep()}") from None
            return
        typer.echo("nothing was changed", err=True)
    finally:
        draft.remove()


def read_edited(letter: Letter, body: bytes, intake: Intake) -> Command:
    """The command of an edited body. Raises `Failure` that says what is wrong with it."""
    entry = Entry(letter.partition, letter.entry, body)
    (item, *_) = intake.read(entry)
    if entry.is_array:
        raise CommandError("it must be one event, not an array")
    if not isinstance(item, Command):
        raise CommandError(f"this is no command: {item.message}")
    was = letter.details.command
    if was is not None and item.key != CommandKey(was.source, was.id):
        raise CommandError(
            f"source and id must stay {escaped(was.source)} and {escaped(was.id)}: results go by them"
        )
    return item


def edited_letter(letter: Letter, body: bytes, command: Command) -> Letter:
    """The letter with another body, and what follows from that; its error is what it was."""
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


def _find(session: OperatorSession, letter_id: str) -> Letter:
    async def work(reader: LetterReader, _: LetterChanger) -> Letter | None:
        return (await reader.find([letter_id])).get(letter_id)

    letter = session.run(work)
    if letter is None:
        raise CommandError(f"no such letter: {escaped(letter_id)}")
    return letter


def _save(
    session: OperatorSession, letter: Letter, body: bytes, command: Command, replay: bool, as_json: bool
) -> None:
    edited = edited_letter(letter, body, command)

    async def work(reader: LetterReader, changer: LetterChanger) -> tuple[bool, Letter | None, int]:
        now_ms = round((await reader.server_time()).timestamp() * 1000)
        saved = await changer.edit(session.action("edit"), letter, edited, now_ms)
        found = await reader.find([letter.id])
        return saved, found.get(letter.id), await reader.read_partition_count()

    saved, found, partitions = session.run(work)
    if not saved:
        raise CommandError(f"{escaped(letter.id)} had gone, or changed, meanwhile: nothing was changed")
    if not as_json:
        typer.echo(f"edited {escaped(letter.id)}")
    if replay and found is not None:
        intake = Intake(session.settings.max_message_bytes, session.settings.spellings)
        done = carry_out_replay(
            session, [found.position], session.action("replay"), intake, partitions, force=False
        )
        done.end("replayed", {"edited": letter.id} if as_json else None)
    elif as_json:
        print_json({"edited": letter.id})


def _body_of(content: bytes) -> bytes:
    """The event in UTF-8, however the editor saved it. Raises `Failure`."""
    try:
        return text_of(content).encode().strip()
    except UnreadableText as error:
        raise CommandError(f"what you wrote cannot be read: {error}") from None


class _Draft:
    """A file for the editor, which nobody else can read."""

    def __init__(self, body: bytes) -> None:
        handle, name = tempfile.mkstemp(prefix="numbergroup-", suffix=".json")
        self._file = Path(name)
        with os.fdopen(handle, "wb") as out:
            out.write(_laid_out(body) + b"\n")
        self._kept = False
        self._before = self._file.read_bytes()

    def edit(self) -> bytes | None:
        """What was written; `None` when nothing was changed. Raises `Failure` when there is no editor."""
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        try:
            # The operator's own choice of a program, with its arguments, as git and crontab take it.
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
        self._kept = True
        return self._file

    def remove(self) -> None:
        if self._kept:
            return
        if self._file.is_dir() and not self._file.is_symlink():
            shutil.rmtree(self._file, ignore_errors=True)
        else:
            self._file.unlink(missing_ok=True)


def _laid_out(body: bytes) -> bytes:
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)
    except ValueError:
        return body
