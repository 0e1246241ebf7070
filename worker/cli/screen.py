"""What the commands print on."""

from rich.console import Console

_UNWRAPPED = 1_000


def screen() -> Console:
    """A terminal in its own width and colours; anything else gets plain lines, which nothing breaks."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _UNWRAPPED
    return console


def counted(count: int, noun: str) -> str:
    """`1 number`, `2,000 numbers`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def plain(text: str) -> str:
    """The text in one line, without what could move a terminal's cursor: somebody else wrote it."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())
