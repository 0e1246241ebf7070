"""Recognises texts that say that a group exists already, in English and Chinese. Pure."""

import re

from numbergroup.vendors.command_words import COMMAND_WORD

_GROUP = rf"(?:group\w*|(?<!user )(?<!key )(?<!host )\bnames?\b|[组組]|名称|名稱|{COMMAND_WORD})"
_NO_NUMBER = r"(?:(?!phone|number|mobile|号码|號碼|手机|手機).)"
_EXISTS = (
    r"(?:\b(?:already[\s_-]*)?exists?\b|\balready[\s_-]*(?:exist(?:s|ed|ing)?|present|in[\s_-]use|taken|used|created)\b"
    r"|\b(?:is|in|been)[\s_-](?:taken|use)\b|\bduplicated?\b(?!\s(?:request|submi|call|entr|message|nonce|key|operation))"
    r"|已存在|已經存在|已经存在|已被使用|已被占用|(?:重复|重複)(?!提交|请求|請求|操作|调用|調用|发送|發送))"
)
_NOT = r"(?<!not )(?<!n't )"
_GROUP_EXISTS = re.compile(
    # A text that begins with "exists" does not name what exists: it is the group that the call creates.
    rf"(?:^\W*|{_GROUP}{_NO_NUMBER}{{0,40}}?){_NOT}{_EXISTS}"
    rf"|\bduplicated?\s(?:entry\s)?\W{{0,3}}{_GROUP}|(?:重复|重複)的?\W{{0,3}}{_GROUP}",
    re.IGNORECASE,
)
_MAX_LENGTH = 500


def is_group_exists_text(text: str) -> bool:
    """Whether the text of an answer to a create, after `mask_command_words`, says that the group exists."""
    return _GROUP_EXISTS.search(text[:_MAX_LENGTH]) is not None
