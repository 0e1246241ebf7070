"""Removes the words of a command from a vendor's text, which may quote them. Pure.

A name that one producer gives to a group must not read as a rate limit, or as a fault of the account.
"""

import re

from numbergroup.engine.calls import Call

OWN_WORD = "\ufffc"
"""Stands in a text where one of the command's words, or a group's name in quotes, was."""

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


def without_own_words(text: str, call: Call) -> str:
    """`text` with `OWN_WORD` for each name, remark, id and number of `call`, and for each quoted name."""
    words = {word.strip() for word in (call.group_name, call.remark, call.group_id) if word}
    patterns = [_whole(word) for word in sorted(words, key=len, reverse=True) if word]
    if patterns:
        text = re.sub("|".join(patterns), OWN_WORD, text, flags=re.IGNORECASE)
    return _QUOTED_NAME.sub(rf"\1{OWN_WORD}", _NUMBER.sub(OWN_WORD, text))


def _whole(word: str) -> str:
    """A pattern for the word where it is no part of a longer one. Chinese has no spaces between words."""
    before = f"(?<!{_ASCII_WORD})" if re.match(_ASCII_WORD, word) else ""
    after = f"(?!{_ASCII_WORD})" if re.match(_ASCII_WORD, word[-1]) else ""
    return f"{before}{re.escape(word)}{after}"
