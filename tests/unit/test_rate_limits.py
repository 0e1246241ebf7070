"""How vendors say "too fast", and what only sounds like it."""

import time

import pytest

from numbergroup.engine.calls import AccountFault, Call, CallKind, Outcome, Refused, Throttled, Unavailable
from numbergroup.settings import NXCloudAccount
from numbergroup.vendors.classification import FailureClass, FailureClassifier, StatedFailure
from numbergroup.vendors.nxcloud import CLASSES
from numbergroup.vendors.port import Answer
from numbergroup.vendors.rate_limits import Wording, read_rate_wording

PLAIN = [
    "request is too frequent, please try again later",
    "Requests are too frequent",
    "Request too frequently",
    "Operation too fast, try again in a minute",
    "QPS limit exceeded",
    "Exceeded QPS limit",
    "qps over limit",
    "rate limit exceeded",
    "Rate Limit Exceeded: too many requests, try again later",
    "Rate exceeded",
    "API rate exceeded",
    "You are being rate limited.",
    "ratelimited",
    "user_rate_limited",
    "RateLimitReached",
    "rate-limited by upstream",
    "API rate limit reached for requests",
    "Request rate is over the limit",
    "Calls per second limit exceeded",
    "API call limit reached",
    "API calls quota exceeded! maximum admitted 100 per Second.",
    "Max request limit exceeded",
    "The number of requests exceeds the limit",
    "You have exceeded the limit of requests per minute",
    "Too Many Requests",
    "too many API calls",
    "Too many concurrent requests",
    "too_many_requests",
    "TooManyRequestsException",
    "Throttling.User: Request was denied due to user flow control.",
    "Throttled",
    "ThrottlingException: Rate exceeded",
    "Request was throttled. Expected available in 17 seconds.",
    "frequency limit",
    "Frequency control",
    "call frequency exceeds the limit",
    "The request frequency is too high",
    "api freq out of limit: access frequency limited",
    "concurrent requests over limit",
    "Concurrency limit reached",
    "traffic limit reached",
    "Flow control triggered: flow limit",
    "SlowDown",
    "OVER_QUERY_LIMIT",
    "Frequent requests",
    "Maximum number of requests reached",
    "Exceeded the maximum number of calls",
    "请求量过大",
    "Please slow down",
    "RequestLimitExceeded",
    "请求过于频繁",
    "操作太频繁，请稍后再试",
    "您的访问过于频繁",
    "接口调用频率超过限制",
    "接口调用超过频率限制",
    "请求频率过高",
    "请求过快",
    "调用次数过于频繁",
    "并发请求数超过上限",
    "并发超限",
    "QPS超限",
    "触发限流，请稍后重试",
    "触发流控",
    "访问受限",
    "請求過於頻繁，請稍後再試",
    "存取頻率超過限制",
    "每秒请求数量超过限制，请降低频次",
    "QPS limit exceeded, limit value 10",
    "并发数量超限",
    "接口调用数量超出上限",
    "接口请求数量超限，请稍后再试",
    "qps limit exceeded for group",
    "QPS limit exceeded, current value 11",
    "Request rate is too large",
    "Please reduce your request rate.",
    "Spike arrest violation. Allowed rate : 10ps",
    "Blocked by Sentinel (flow limiting)",
    "FlowException",
    "Number of requests per second exceeded",
    "Exceeded 10 requests per second",
    "Maximum 10 requests per second",
    "Frequency of requests is too high",
    "rate limiter: request rejected",
    "Requests limited",
    "触发流量控制",
    "超过每秒最大请求数",
    "请求过于密集",
    "API rate limit exceeded for number group 12",
    "Request count exceeds the quota of 100 per minute",
    "Concurrent request limit reached for this account, current value: 8",
    "Calls are limited to 20 per second",
    "429 Too Many Requests for phones",
    "Current QPS 12 exceeds the limit 10 of the field updateGroup",
    "too many concurrent calls for this group",
    "The request frequency exceeds the configured value",
    "Operation too fast for this group",
    "Rate exceeded: group 12",
    "Update frequency of the group is too high",
    "接口访问频次超出每分钟上限",
    "更新分组请求过于频繁",
    "单位时间内请求数超限",
    "请求速率过高，分组未更新",
    "您的请求频次太高，请降低",
    "提交过于频繁，号码未保存",
    "服务限流，号码添加失败",
    "分组更新频率超过限制",
]
LIKELY = [
    "Limit exceeded",
    "Max limit exceeded",
    "the daily limit has been reached",
    "exceeded your current limit",
    "over limit",
    "Quota exceeded",
    "insufficient quota",
    "You exceeded your current quota, please check your plan",
    "too many",
    "Too many, please wait",
    "配额已用完",
    "今日额度不足",
    "次数超限",
    "RESOURCE_EXHAUSTED",
    "ResourceExhausted",
]
BUSY = [
    "system busy",
    "The system is busy, please try again later",
    "Server Busy",
    "server too busy",
    "service is busy now",
    "系统繁忙",
    "系统繁忙，请稍候再试",
    "服务器繁忙",
    "Server overloaded",
    "系统过载",
    "系統忙碌中",
    "ServerTooBusy",
    "服务器忙",
    "系统正忙",
    "系统太忙",
    "系统繁忙，号码添加失败，请稍后再试",
    "System busy, phones were not added",
    "Please wait 5 seconds before retrying",
    "Please try again in 3 seconds",
    "retry after 500ms",
    "请等待3秒",
    "请5秒后重试",
]
LATER = [
    "Please try again later",
    "retry later",
    "Service temporarily unavailable",
    "temporary failure",
    "请稍后再试",
    "請稍後重試",
]
OTHER = [
    "",
    "success",
    "parameter limit out of range",
    "limit out of range",
    "limit is required",
    "limit must be between 0 and 1000",
    "the limit must be an integer",
    "limit is required and must be an integer",
    "rate limit must be a number",
    "limitation of liability",
    "phones exceed the limit of 1000",
    "phones must be at most 1000 numbers",
    "too many phones",
    "Too many numbers in one call",
    "too many parameters",
    "The number of phones exceeds the limit",
    "Request body size exceeds the limit",
    "request entity too large: limit exceeded",
    "Name (X) allows 2 to 50 characters only",
    "groupName exceeds the length limit of 50 characters",
    "group limit exceeded",
    "maximum number of groups reached",
    "limit must not exceed 1000",
    "phone is invalid, please correct it and try again later",
    "号码格式错误，请稍后再试",
    "field length limit exceeded",
    "frequency must be between 1 and 5",
    "parameter error",
    "invalid signature",
    "timestamp expired",
    "insufficient permissions or wrong accessKey",
    "failed to retrieve data",
    "country code mismatch",
    "generated",
    "accurate",
    "moderate usage",
    "overview",
    "business account is closed",
    "号码数量超过限制",
    "参数长度超过限制",
    "分组名称超过上限",
    "号码格式错误",
    "参数错误",
    "签名错误",
    "用户不存在",
    "too many numbers per request",
    "Too many phones in request",
    "too many numbers per call",
    "号码 85211111114 频繁投诉, 不允许添加",
    "phone number called too often, blacklisted",
    "分组名称[频繁骚扰]已存在",
    "group name 'slow down' exists",
    "Maximum 100 numbers per request",
    "phones per call exceeds 1000",
    "Too many phone numbers in this request, limit is 100",
    "This number receives calls too often",
    "number has too many calls",
    "request body too large",
    "qps must be between 1 and 5",
    "too many groups for this account",
    "phone was reported too frequently and is blacklisted",
    "Maximum number of members in a group reached",
    "At most 50 phones per batch",
    "phone line busy",
    "invalid number rate exceeds 5%",
    "每次请求号码数量超过限制",
    "单次请求数量超过上限",
    "号码被频繁骚扰举报，不允许添加",
    "请求数据超过长度限制",
    "请求数组超过上限",
    "请求体过大",
    "号码呼叫次数太多",
    "号码使用频率过高",
    "添加数量超过限制",
]

ADD = Call(CallKind.ADD, ("85211111114",), "g-1")
SETTINGS = NXCloudAccount(access_key="k", access_secret="s").failure_classifier  # type: ignore[arg-type]


def understood(
    classes: FailureClassifier, text: str, code: str | None = "9999", status: int = 200
) -> Outcome:
    return classes.classify(ADD, Answer(status, b""), StatedFailure(code, text, text))


@pytest.mark.parametrize("text", PLAIN)
def test_rate_limits(text: str) -> None:
    """Whatever the case, and whatever the code, but for a documented refusal: the account is asked to make
    fewer calls."""
    for spelling in (text, text.upper(), text.lower(), f"error: {text}!"):
        assert read_rate_wording(spelling) is Wording.PLAIN
    for classes in (CLASSES, SETTINGS):
        for code in ("9999", "1004", "1005", None):
            assert isinstance(understood(classes, text, code), Throttled)
        assert isinstance(understood(classes, text, "1002"), Refused)


@pytest.mark.parametrize("text", LIKELY)
def test_limits_and_quotas(text: str) -> None:
    """A limit of which it is not said what it limits: that of calls, unless the code says otherwise."""
    assert read_rate_wording(text) is Wording.LIKELY
    assert read_rate_wording(text.upper()) is Wording.LIKELY
    assert isinstance(understood(CLASSES, text), Throttled)
    assert isinstance(understood(CLASSES, text, "1002"), Refused)
    assert isinstance(understood(CLASSES, text, "1005"), AccountFault)


@pytest.mark.parametrize("text", BUSY)
def test_busy(text: str) -> None:
    """The account waits; but a vendor that is busy, or asks to wait, may have carried the call out."""
    assert read_rate_wording(text) is Wording.BUSY
    got = understood(CLASSES, text)
    assert isinstance(got, Throttled)
    assert got.in_doubt
    assert isinstance(understood(CLASSES, text, "1002"), Refused)


@pytest.mark.parametrize("text", LATER)
def test_try_later(text: str) -> None:
    """Who asks to try later is not refusing, unless the code is known to be a refusal."""
    assert read_rate_wording(text) is Wording.LATER
    got = understood(CLASSES, text)
    assert isinstance(got, Unavailable)
    assert got.in_doubt
    assert isinstance(understood(CLASSES, text, "1002"), Refused)


@pytest.mark.parametrize("text", OTHER)
def test_what_is_no_rate_limit(text: str) -> None:
    """A message about the content of a command must not stop the account: the command is refused."""
    for spelling in (text, text.upper(), text.capitalize()):
        assert read_rate_wording(spelling) is None
    assert isinstance(understood(CLASSES, text), Refused)


def test_texts_that_are_set_replace_all_that() -> None:
    """An operator who says which texts mean it is taken at his word."""
    classes = NXCloudAccount(access_key="k", access_secret="s", throttle_texts=("nope",)).failure_classifier  # type: ignore[arg-type]
    assert isinstance(understood(classes, "too many requests"), Refused)
    assert isinstance(understood(classes, "Nope."), Throttled)
    assert isinstance(understood(classes, "Nope.", "1002"), Throttled)


def test_a_text_in_another_class_goes_first() -> None:
    """What an operator says of a text goes before what it usually means."""
    classes = FailureClassifier(
        texts={"quota": FailureClass.ACCOUNT_FAULT, "too frequent": FailureClass.RETRYABLE}
    )
    assert isinstance(understood(classes, "Quota exceeded"), AccountFault)
    assert not isinstance(understood(classes, "request is too frequent"), Throttled)


def test_a_long_text_takes_no_time() -> None:
    """However a megabyte is made up, it is read in a moment."""
    began = time.process_time()
    for part in (
        "request ",
        "over ",
        "rate over ",
        "too many ",
        "limit ",
        "请求",
        "a",
        "wait for ",
        "is ",
        "per ",
    ):
        read_rate_wording(part * (1_000_000 // len(part)))
    assert time.process_time() - began < 2.0
