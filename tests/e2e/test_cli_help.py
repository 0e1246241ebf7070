"""Help and mistakes on the command line: plain texts, on whatever they are printed."""

from e2e_cli import Shell

COMMANDS = (
    *("demo", "run", "sandbox", "publish", "replies", "plan"),
    *("status", "pause", "resume", "dead-letters", "groups"),
)


def test_help(bare_shell: Shell) -> None:
    """It names every command in one line each, and where settings come from."""
    long, short, bare, version = bare_shell.at_once(("--help",), ("-h",), (), ("--version",))
    assert (long.code, long.err) == (0, "")
    for command in COMMANDS:
        (line,) = [line for line in long.out.splitlines() if line.startswith(f"  {command} ")]
        assert line.endswith("."), "a line was cut off"
    assert "NUMBERGROUP_CONFIG" in long.out
    assert short == long
    assert (bare.code, bare.out + bare.err) == (2, long.out)
    assert (version.code, version.out.split()[0]) == (0, "numbergroup")


def test_help_of_every_command(bare_shell: Shell) -> None:
    """It can be read on a narrow terminal, and does not speak of types and boxes."""
    narrow = Shell(bare_shell.folder, {}, columns=50)
    for command, done in zip(COMMANDS, narrow.at_once(*((one, "-h") for one in COMMANDS)), strict=True):
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(f"Usage: numbergroup {command} ")
        assert max(map(len, done.out.splitlines())) <= 50
        for noise in ("<int", "<bool", "<str", "╭", "│"):
            assert noise not in done.out


def test_mistakes(bare_shell: Shell) -> None:
    """Exit code 2, and what is wrong."""
    mistakes = {
        ("publsh", "-"): "No such command 'publsh'",
        ("publish",): "Missing argument 'FILE'",
        ("publish", "-", "--batch", "0"): "Invalid value for '--batch': ",
        ("plan", "-", "--jsn"): "No such option: --jsn",
        ("demo", "--commands", "many"): "Invalid value for '--commands': ",
    }
    for said, done in zip(mistakes.values(), bare_shell.at_once(*mistakes), strict=True):
        assert (done.code, done.out) == (2, "")
        assert said in done.err
