"""Text that others wrote, on a terminal: what is seen is what is there, in its order, and nothing moves."""

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbergroup.text.comparing import visible_name
from numbergroup.text.escaping import escaped, escaped_json

TRICKS = {
    "a control sequence": "\x1b[2J",
    "a C1 control sequence": "\x9b2J",
    "carriage return": "\r",
    "a line feed": "\n",
    "backspace": "\b",
    "delete": "\x7f",
    "right-to-left override": "\u202e",
    "an isolate": "\u2066",
    "Arabic letter mark": "\u061c",
    "zero-width space": "\u200b",
    "zero-width joiner": "\u200d",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "a tag character": "\U000e0041",
    "a variation selector": "\ufe0f",
    "a variation selector of plane 14": "\U000e0101",
    "Hangul filler": "\u3164",
    "combining grapheme joiner": "\u034f",
    "Braille blank": "\u2800",
    "no-break space": "\u00a0",
    "line separator": "\u2028",
    "private use": "\ue000",
    "unassigned": "\U000e0fff",
}
SPACES = {"carriage return", "a line feed", "no-break space", "line separator"}
OTHERS = {"a control sequence", "a C1 control sequence", "private use", "unassigned"}
SEEN = ["", "vip 2", "Größe", "客户组", "Ελλάδα", "מבצע", "قائمة", "नमस्ते", "🎉", "a\\u200b"]


@pytest.mark.parametrize("trick", TRICKS)
def test_what_cannot_be_seen(trick: str) -> None:
    """It is written as an escape, in texts and in JSON; JSON means the same as before."""
    char = TRICKS[trick]
    code = f"u{ord(char[0]):04x}" if ord(char[0]) < 0x10000 else f"U{ord(char):08x}"
    assert escaped(f"vip{char}2") == f"vip\\{code}{char[1:]}2"
    line = json.dumps({f"name{char}": f"vip{char}"}, ensure_ascii=False).encode()
    shown = escaped_json(line)
    assert char[0] not in shown.decode()
    assert json.loads(shown) == json.loads(line)


@pytest.mark.parametrize("text", SEEN)
def test_what_can_be_seen(text: str) -> None:
    """Words in any script, signs and emoji stay as they are."""
    line = json.dumps({"name": text}, ensure_ascii=False).encode()
    assert (escaped(text), escaped_json(line)) == (text, line)


@settings(deadline=None)
@given(st.text())
def test_any_text(text: str) -> None:
    """Whatever it is: one line, nothing in it is invisible, and JSON keeps its meaning."""
    shown = escaped(text)
    assert shown.isprintable()
    assert escaped(shown) == shown
    line = json.dumps([text], ensure_ascii=False).encode(errors="replace")
    assert json.loads(escaped_json(line)) == json.loads(line)
    assert escaped_json(line).decode().isprintable()


@pytest.mark.parametrize("trick", sorted({*TRICKS} - SPACES - OTHERS))
def test_names_that_look_the_same(trick: str) -> None:
    """Invisible characters make no other name."""
    assert visible_name(f"vi{TRICKS[trick]}p") == "vip"


def test_names_that_are_written_differently() -> None:
    """Composed or decomposed is one name; what people can see is not."""
    assert visible_name("Gro\u0308\u00dfe") == visible_name("Größe") == "Größe"
    assert visible_name("한국") == visible_name(unicodedata.normalize("NFD", "한국"))
    for one, other in [("VIP", "vip"), ("vip 2", "vip2"), ("vip", "vіp"), ("①", "1")]:
        assert visible_name(one) != visible_name(other)
