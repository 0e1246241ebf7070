"""Masks the words of a command in a vendor's text, which may quote them. Pure.

A group's name must not be read as a rate limit, or as a fault of the account.
"""

import re

from numbergroup.engine.calls import Call

COMMAND_WORD = "\ufffc"
"""Replaces one of the command's words, or a group's name in quotes."""

_NUMBER = re.compile(r"\+?[0-9]{7,}")
_QUOTED = (
    r"(?:\"[^\"]{1,200}\"|'[^']{1,200}'|\[[^\]]{1,200}\]|【[^】]{1,200}】|「[^」]{1,200}」|『[^』]{1,200}』"
    r"|《[^》]{1,200}》|“[^”]{1,200}”|‘[^’]{1,200}’)"
)
_QUOTED_NAME = re.compile(
    rf"((?:name|名称|名稱|组名|組名)\s*[:：=]?\s*|(?:group|remark|分组|分組|群组|群組|备注|備註)\s*){_QUOTED}",
    re.IGNORECASE,
)
_ASCII_WORD = "[A-Za-z0-9]"


def mask_command_words(text: str, call: Call) -> str:
    """Return `text` with each name, remark, id and number of `call` masked, and each quoted name.

    `COMMAND_WORD` takes their place.
    """
    words = {word.strip() for word in (call.group_name, call.remark, call.group_id) if word}
    patterns = [_match_whole(word) for word in sorted(words, key=len, reverse=True) if word]
    if patterns:
        text = re.sub("|".join(patterns), COMMAND_WORD, text, flags=re.IGNORECASE)
    return _QUOTED_NAME.sub(rf"\1{COMMAND_WORD}", _NUMBER.sub(COMMAND_WORD, text))


def _match_whole(word: str) -> str:
    """Return a pattern for the whole word, not for a part of a longer one. Chinese has no spaces."""
    before = f"(?<!{_ASCII_WORD})" if re.match(_ASCII_WORD, word) else ""
    after = f"(?!{_ASCII_WORD})" if re.match(_ASCII_WORD, word[-1]) else ""
    return f"{before}{re.escape(word)}{after}"
