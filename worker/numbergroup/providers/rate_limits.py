"""How vendors say "too fast" in an answer's text, in English and Chinese. Pure.

`tests/unit/test_rate_limits.py` has a table of such phrases as real APIs answer with, and of others that look
alike and mean something else.
"""

import enum
import re


class Wording(enum.Enum):
    """How sure it is that a text speaks of a rate limit."""

    PLAIN = enum.auto()
    """It speaks of calls and how fast they come: that decides whatever the code is."""
    LIKELY = enum.auto()
    """It speaks of a limit or a quota: that decides unless the code is known."""
    BUSY = enum.auto()
    """It speaks of a busy service: the same, but the call may have been applied."""
    LATER = enum.auto()
    """It asks to try later, and does not say why: what failed may pass, unless the code is known."""


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_CALLS = (
    r"(?:requests?|calls?|quer(?:y|ies)|hits|visits?|invocations?|operations?|attempts?|connections?|api)"
)
_SPEED = r"(?:rate|qps|tps|rps|rpm|frequency|concurren(?:cy|t)|throughput|traffic|flow)"
_OVER = r"(?:exceed(?:s|ed|ing)?|reached|hit|over|above|surpass(?:es|ed))"
_LIMIT = r"(?:limits?|quotas?|maximum)"
_ZH_CALLS = r"(?:请求|請求|访问|訪問|调用|調用|接口|并发|並發|操作|流量|速率|频率|頻率|频次|頻次|qps|tps)"
_ZH_OVER = (
    r"(?:超过|超過|超出|超限|达到|達到|上限|限制|受限|过多|過多|过快|過快|太快|太多|过高|過高|过大|過大)"
)

_SURE = _any(
    r"(?<![a-z])rate[\s_-]*(?:is )?limit(?:s|ed|ing)?(?![a-z])(?! (?:must|should|is required|has to|out of))",
    rf"\btoo[\s_]many[\s_](?:\w+ ){{0,2}}?{_CALLS}\b(?! (?:param|field|argument|in ))",
    r"\btoo[\s_-]?(?:frequent(?:ly)?|fast|quickly|often)\b",
    r"\bthrottl(?:e|ed|es|ing)\b",
    r"throttlingexception|throttled?exception|requestlimitexceeded|toomanyrequests|ratelimit",
    r"\bslow[\s_-]*down\b",
    r"频繁|頻繁|限流|流控|限频|限頻|限速",
)
_CALLS_TOO_FAST = _any(
    rf"\b{_SPEED}\b.{{0,25}}\b{_OVER}\b",
    rf"\b(?:{_CALLS} frequently|frequent {_CALLS})\b",
    rf"\b(?:maximum|max) (?:number of )?{_CALLS}\b.{{0,20}}\b{_OVER}\b",
    rf"\b{_OVER}\b.{{0,20}}\b(?:maximum|max) (?:number of )?{_CALLS}\b",
    rf"\b{_SPEED}\b.{{0,12}}\b(?:limit(?:ed|s)?|control(?:led)?|restrict(?:ed|ion)?|too high)\b",
    rf"\b{_OVER}\b.{{0,40}}\b{_SPEED}\b",
    rf"\b{_CALLS}\b.{{0,25}}\b{_OVER}\b.{{0,30}}\b{_LIMIT}\b",
    rf"\b{_CALLS}\b.{{0,15}}\b{_LIMIT}\b.{{0,15}}\b{_OVER}\b",
    rf"\b{_OVER}\b.{{0,30}}\b{_LIMIT}\b.{{0,12}}\b{_CALLS}\b",
    rf"\b{_OVER}\b.{{0,30}}\b{_CALLS}\b.{{0,15}}\b{_LIMIT}\b",
    rf"{_ZH_CALLS}.{{0,12}}{_ZH_OVER}",
    rf"{_ZH_OVER}.{{0,12}}{_ZH_CALLS}.{{0,6}}(?:限|上限)",
)
_LIMIT_REACHED = _any(
    r"\blimits?[\s_-]*(?:has been |have been |was |is )?(?:exceeded|reached|hit)\b",
    rf"\b{_OVER}\b (?:\w+ ){{0,4}}limits?\b",
    r"\bover[\s_-]*limit\b|limitexceeded",
    r"\bquotas?\b|\btoo many\b",
    r"配额|配額|额度|額度|次数(?:超|已|用|达|过)|次數(?:超|已|用|達|過)",
)
_BUSY = _any(r"\bbusy\b|\boverload(?:ed)?\b|繁忙|忙碌|系统忙|系統忙|服务忙|服務忙|过载|過載")
_LATER = _any(
    r"\b(?:try|retry)(?: again| it)? (?:later|in a |after )",
    r"\btemporar(?:y|ily) (?:unavailable|error|failure|problem|out of service)",
    r"稍后|稍後|稍候|重试|重試",
)
_CONTENT = _any(
    r"\b(?:phones?|mobiles?|msisdns?|numbers|digits?|lengths?|char(?:acter)?s?|size|bytes?|param(?:eter)?s?"
    r"|arguments?|fields?|names?|remarks?|descriptions?|values?|range|offset|pages?|body|payload|entity|groups?"
    r"|members?|items?|entries|required|must be|should be|between|invalid)\b",
    r"号码|號碼|手机|手機|长度|長度|字符|字元|参数|參數|名称|名稱|备注|備註|分组|分組|群组|群組|成员|成員|个数|個數|数量|數量",
)
"""What a message is about that speaks of the command's content, and not of how fast calls come."""

_LONGEST = 500


def rate_wording(text: str) -> Wording | None:
    """What the vendor's message says of too many calls; `None`: nothing."""
    text = text[:_LONGEST].replace("_", " ").replace("-", " ")
    if _SURE.search(text):
        return Wording.PLAIN
    if _CONTENT.search(text):
        return None
    if _CALLS_TOO_FAST.search(text):
        return Wording.PLAIN
    if _LIMIT_REACHED.search(text):
        return Wording.LIKELY
    if _BUSY.search(text):
        return Wording.BUSY
    return Wording.LATER if _LATER.search(text) else None
