"""Recognises the wording of rate limits in an answer's text, in English and Chinese. Pure.

`tests/unit/test_rate_limits.py` has a table of such phrases from real APIs, and of similar phrases that mean
something else.
"""

import enum
import re


class Wording(enum.Enum):
    """How certain it is that a text means a rate limit."""

    PLAIN = enum.auto()
    """It names calls and their rate: that decides unless the code is a known refusal."""
    LIKELY = enum.auto()
    """It names a limit or a quota: that decides unless the code is known."""
    BUSY = enum.auto()
    """It names a busy service, or a time to wait: that decides unless the code is known. The call may have
    been applied."""
    LATER = enum.auto()
    """It asks to try later without a reason: the failure may pass, unless the code is known."""


def _compile(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_REQUESTS = r"(?:requests?|quer(?:y|ies)|hits|invocations?|connections?|api(?: calls?)?)"
"""Calls of an API; `calls` alone may be telephone calls."""
_CALLS = rf"(?:{_REQUESTS}|calls?|visits?|operations?|attempts?)"
_SPEED = r"(?:rate|qps|tps|rps|rpm|frequency|concurren(?:cy|t)|throughput|traffic|flow)"
_AMOUNT = r"(?:rate|frequency|traffic|flow|number|count|volume)"
_PACE = (
    r"(?:\b(?:qps|tps|rps|rpm|concurren(?:cy|t))\b|(?:\b(?:per|each|every)\s?|/\s?)(?:second|sec|minute|min)\b"
    rf"|\b{_REQUESTS} {_AMOUNT}\b|\b{_AMOUNT} of (?:\w+ )?{_REQUESTS}\b"
    r"|\b(?:access|update|change|creation|deletion) (?:rate|frequency)\b)"
)
"""A measure of requests, not of what a request contains."""
_OVER = r"(?:exceed(?:s|ed|ing)?|reached|hit|over|above|surpass(?:es|ed))"
_LIMIT = r"(?:limits?|quotas?|maximum)"
_IS_SET = r"(?! (?:must|should|is required|has to|out of))"
_NO_PART = r"(?! (?:param|field|argument|in ))"
_CONTENT_NOUNS = (
    r"(?:phones|mobiles|msisdns|numbers|digits|char(?:acter)?s|bytes|param(?:eter)?s|arguments|fields|names|groups"
    r"|members|items|entries|values)"
)
_ZH_REQUESTS = r"(?:请求|請求|访问|訪問|调用|調用|接口|并发|並發|操作|提交)"
_ZH_CALLS = rf"(?:{_ZH_REQUESTS}|流量|速率|频率|頻率|频次|頻次|qps|tps)"
_ZH_AMOUNT = r"(?:频率|頻率|频次|頻次|次数|次數|速率|速度|流量|数量|數量|[数數](?![据據组組值字])|量)"
_ZH_PACE = (
    rf"(?:qps|tps|每秒|每分钟|每分鐘|单位时间|單位時間|并发|並發"
    rf"|(?<!单次)(?<!單次)(?<!每次)(?<!一次){_ZH_REQUESTS}{_ZH_AMOUNT}"
    r"|(?:更新|修改|创建|創建|添加|删除|刪除|查询|查詢)(?:频率|頻率|频次|頻次|速率|速度))"
)
_ZH_OVER = (
    r"(?:超过|超過|超出|超限|达到|達到|上限|限制|受限|过多|過多|过快|過快|太快|太多|过高|過高|太高|密集)"
)
_ZH_LARGE = r"(?:过大|過大)"

_NAMED = _compile(
    rf"(?<![a-z])rate\s*(?:is )?limit(?:s|ed|ers?|ing)?(?![a-z]){_IS_SET}",
    rf"\btoo many (?:(?!{_CONTENT_NOUNS}\b)\w+ ){{0,2}}?(?:{_REQUESTS}|concurrent {_CALLS})\b{_NO_PART}",
    rf"\b(?:{_REQUESTS}|operations?)\b.{{0,30}}\btoo (?:frequent(?:ly)?|fast|quickly|often)\b",
    r"(?:^|[:;,.] ?)rate exceeded\b|\bthrottl(?:e|ed|es|ing)\b",
    r"throttlingexception|throttled?exception|requestlimitexceeded|toomanyrequests|ratelimit",
    r"\bspike arrest\b|\bsentinel\b|\bflow (?:control|limit)|flow\s?exception",
    rf"{_PACE}.{{0,25}}\b(?:{_OVER}|too (?:high|large|big|fast))\b",
    rf"\b{_OVER}\b.{{0,40}}{_PACE}",
    rf"{_PACE} limit(?:s|ed)?\b{_IS_SET}",
    r"\b(?:max(?:imum)?|limited to|at most|up to)\b.{0,20}(?:\bper |/)(?:second|minute)\b",
    rf"\b(?:reduce|lower|decrease)\b.{{0,20}}\b{_SPEED}\b",
    r"限流|流控|限频|限頻|限速|流量控制",
    rf"{_ZH_PACE}.{{0,12}}(?:{_ZH_OVER}|{_ZH_LARGE})|{_ZH_OVER}.{{0,8}}{_ZH_PACE}",
    rf"{_ZH_CALLS}.{{0,4}}(?:频繁|頻繁)|(?:频繁|頻繁){_ZH_REQUESTS}",
    r"(?:降低|减少|減少).{0,4}(?:频|頻|速|并发|並發|qps|请求|請求|调用|調用)",
)
"""Wording that only a rate limit has, whatever else the message is about."""
_SERVICE_BUSY = _compile(
    r"\b(?:system|server|service|gateway|network|platform)s?\b.{0,15}\bbusy\b|too\s?busy\b|\boverload(?:ed)?\b",
    r"(?:系统|系統|服务|服務|服务器|伺服器|网络|網絡|平台).{0,3}(?:繁忙|忙)|过载|過載",
)
_CONTENT = _compile(
    r"\b(?:phones?|mobiles?|msisdns?|numbers|digits?|lengths?|char(?:acter)?s?|size|bytes?|param(?:eter)?s?"
    r"|arguments?|fields?|names?|remarks?|descriptions?|values?|range|offset|pages?|body|payload|entity|groups?"
    r"|members?|items?|entries|required|must be|should be|between|invalid|per (?:request|call|batch))\b",
    r"\bnumber\b(?! of)",
    r"号码|號碼|手机|手機|长度|長度|字符|字元|参数|參數|名称|名稱|备注|備註|分组|分組|群组|群組|成员|成員|个数|個數|数量|數量",
    r"单次|單次|每次|一次|请求体|請求體|请求包|報文|报文|数据|數據|数组|數組|投诉|投訴|骚扰|騷擾|黑名单|黑名單",
)
"""Subjects of a message about the command's content, not about the rate of calls."""
_CALLS_TOO_FAST = _compile(
    r"\btoo\s?(?:frequent(?:ly)?|fast|quickly|often)\b|\bslow\s*down\b|频繁|頻繁",
    rf"\btoo many (?:\w+ ){{0,2}}?{_CALLS}\b{_NO_PART}",
    rf"\b{_SPEED}\b.{{0,25}}\b{_OVER}\b",
    rf"\b(?:{_CALLS} frequently|frequent {_CALLS})\b",
    rf"\b{_CALLS} (?:(?:is|are|was|were|has been|have been|being) )*limited\b",
    rf"\b(?:maximum|max) (?:number of )?{_CALLS}\b.{{0,20}}\b{_OVER}\b",
    rf"\b{_OVER}\b.{{0,20}}\b(?:maximum|max) (?:number of )?{_CALLS}\b",
    rf"\b{_SPEED}\b.{{0,12}}\b(?:limit(?:ed|s)?|control(?:led)?|restrict(?:ed|ion)?|too high)\b",
    rf"\b{_OVER}\b.{{0,40}}\b{_SPEED}\b",
    rf"\b{_CALLS}\b.{{0,25}}\b{_OVER}\b.{{0,30}}\b{_LIMIT}\b",
    rf"\b{_CALLS}\b.{{0,15}}\b{_LIMIT}\b.{{0,15}}\b{_OVER}\b",
    rf"\b{_OVER}\b.{{0,30}}\b{_LIMIT}\b.{{0,12}}\b{_CALLS}\b",
    rf"\b{_OVER}\b.{{0,30}}\b{_CALLS}\b.{{0,15}}\b{_LIMIT}\b",
    rf"{_ZH_CALLS}.{{0,12}}{_ZH_OVER}|(?:流量|速率|频率|頻率).{{0,4}}{_ZH_LARGE}",
    rf"{_ZH_OVER}.{{0,12}}{_ZH_CALLS}.{{0,6}}(?:限|上限)",
)
_LIMIT_REACHED = _compile(
    r"\blimits?\s*(?:has been |have been |was |is )?(?:exceeded|reached|hit)\b",
    rf"\b{_OVER}\b (?:\w+ ){{0,4}}limits?\b",
    r"\bover\s*limit\b|limitexceeded",
    r"\bquotas?\b|\btoo many\b|\bresources?\s?(?:has been |have been |is |are )?exhausted\b",
    r"配额|配額|额度|額度|次数(?:超|已|用|达|过)|次數(?:超|已|用|達|過)",
)
_UNIT = r"(?:s|secs?|seconds?|m|mins?|minutes?|ms|milliseconds?)\b"
_BUSY = _compile(
    r"\bbusy\b|(?<![帮幫])忙",
    rf"\bwait(?: for| at least)* \S{{1,6}} ?{_UNIT}",
    rf"\b(?:try|retry)(?: again| it)? (?:in|after) \S{{1,6}} ?{_UNIT}",
    r"[0-9]+ ?(?:秒|分钟|分鐘|毫秒)(?:之?[后後]|再)|等待? ?[0-9]+ ?(?:秒|分)",
)
_LATER = _compile(
    r"\b(?:try|retry)(?: again| it)? (?:later|in a |after )",
    r"\btemporar(?:y|ily) (?:unavailable|error|failure|problem|out of service)",
    r"稍后|稍後|稍候|重试|重試",
)

_RULES: tuple[tuple[re.Pattern[str], Wording | None], ...] = (
    (_NAMED, Wording.PLAIN),
    (_SERVICE_BUSY, Wording.BUSY),
    (_CONTENT, None),
    (_CALLS_TOO_FAST, Wording.PLAIN),
    (_LIMIT_REACHED, Wording.LIKELY),
    (_BUSY, Wording.BUSY),
    (_LATER, Wording.LATER),
)
"""The first pattern that matches decides."""
_MAX_LENGTH = 500


def read_rate_wording(text: str) -> Wording | None:
    """Return how certain it is that the message means a rate limit, or `None` if it does not."""
    text = text[:_MAX_LENGTH].replace("_", " ").replace("-", " ")
    return next((wording for pattern, wording in _RULES if pattern.search(text)), None)
