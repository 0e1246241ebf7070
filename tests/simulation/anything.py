"""What a vendor may answer with, whether it has carried the call out or not."""

import orjson

from numbergroup.vendors.port import Answer

_NOTICE = b"<br />\n<b>Notice</b>: Undefined index in <b>/www/a.php</b> on line <b>7</b><br />\n"


def _json(code: object, msg: str) -> bytes:
    return orjson.dumps({"code": code, "msg": msg, "requestId": "0"})


_APPLIED_OR_NOT = (
    Answer(500, _json(500, "Internal Server Error")),
    Answer(200, _json(10009, "failed to retrieve data")),
    Answer(200, _json(777, "what nobody knows")),
    Answer(502, _json("E_GATEWAY", "bad gateway"), {"retry-after": "1"}),
    Answer(409, _json(777, "another request is under way")),
    Answer(408, b""),
    Answer(200, _json(777, "系统繁忙")),
    Answer(200, _NOTICE + _json(0, "success")),
    Answer(200, b""),
    Answer(504, b"<html>"),
    Answer(500, _json(777, "too many requests")),
    Answer(599, _json(True, "?")),
)
_OF_CREATES = (
    Answer(503, _json(503, "Service Unavailable"), {"retry-after": "2"}),
    Answer(302, b"", {"location": "http://elsewhere/"}),
)
_NEVER_APPLIED = (
    Answer(400, _json(777, "no")),
    Answer(401, _json(401, "no")),
    Answer(404, _json("E404", "no")),
    Answer(429, _json(777, "no"), {"retry-after": "1"}),
    Answer(200, _json(777, "请求过于频繁")),
    Answer(200, _json(1004, "timestamp expired")),
)

_SUCCESSES_OF_A_FAILURE = tuple(
    Answer(status, orjson.dumps({"code": code, "msg": msg, "requestId": "0", "groupId": "g-0"}), headers)
    for status, code, msg, headers in (
        (500, 0, "success", {}),
        (503, 0, "Service Unavailable", {"retry-after": "1"}),
        (429, 0, "Too Many Requests", {"retry-after": "1"}),
        (429, "0", "success", {}),
        (502, "0", "success", {}),
        (401, 0, "success", {}),
        (404, 0, "success", {}),
        (302, 0, "success", {"location": "http://elsewhere/"}),
    )
)
"""A success in the body, beside a status that is none: carried out or not."""

COMES_BACK = len(_APPLIED_OR_NOT)
"""The place of an answer that says when to come back."""
COUNT = len(_APPLIED_OR_NOT) + len(_OF_CREATES) + len(_NEVER_APPLIED)
SUCCESSES_OF_A_FAILURE = range(COUNT, COUNT + len(_SUCCESSES_OF_A_FAILURE))
"""The places of the successes that are none."""


def answer_of(place: int, *, applied: bool, creates: bool) -> Answer:
    """One of them. With a 503 or a redirect only a create may have been carried out for all that is assumed:
    it can be looked for."""
    if place in SUCCESSES_OF_A_FAILURE:
        return _SUCCESSES_OF_A_FAILURE[place - COUNT]
    answers = [*_APPLIED_OR_NOT]
    if creates or not applied:
        answers += _OF_CREATES
    if not applied:
        answers += _NEVER_APPLIED
    return answers[place % len(answers)]
