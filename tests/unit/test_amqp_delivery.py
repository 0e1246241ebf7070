"""What the properties of an AMQP message decide."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbergroup.brokers.amqp.delivery import Delivery, build_entry, read_properties
from numbergroup.brokers.amqp.topology import DEAD_LETTER_QUEUE
from numbergroup.engine.commands import Entry


def entry(queue: str = "numbergroup.commands", **properties: Any) -> Entry:
    return build_entry(Delivery(1, queue, b"{}", read_properties(properties), redelivered=False), 2)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
    ],
)
@pytest.mark.parametrize("encoding", [None, "utf-8", "UTF-8", "binary", "us-ascii"])
def test_taken(content_type: str | None, encoding: str | None) -> None:
    made = entry(content_type=content_type, content_encoding=encoding)
    assert (made.problem, made.partition, made.body) == (None, 2, b"{}")


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"content_type": "application/x-python-serialize"}, "content type must be application/json"),
        ({"content_type": "application/x-yaml"}, "content type"),
        ({"content_type": "text/plain"}, "content type"),
        ({"content_encoding": "utf-16"}, "content encoding must be utf-8"),
        ({"application_headers": {"compression": "application/x-gzip"}}, "without compression"),
        ({"application_headers": {"compression": None}}, "without compression"),
    ],
)
def test_refused(properties: dict[str, Any], said: str) -> None:
    """Refused by what the properties say, before anybody looks into the body."""
    made = entry(**properties)
    assert said in (made.problem or "")
    assert made.body == b"{}"


def test_where_the_answer_goes() -> None:
    made = entry(reply_to="numbergroup.replies.crm", correlation_id="77")
    assert (made.reply_to, made.correlation_id, made.from_list) == ("numbergroup.replies.crm", "77", False)


def test_what_the_broker_gave_up() -> None:
    """Its reason is the letter's."""
    deaths = [{"reason": "delivery_limit", "queue": "numbergroup.commands", "count": 1}]
    made = entry(DEAD_LETTER_QUEUE, application_headers={"x-death": deaths})
    assert made.problem == "the broker gave it up: delivery_limit, queue numbergroup.commands"
    assert made.problem_kind == "crashed"
    assert "unknown" in (entry(DEAD_LETTER_QUEUE).problem or "")


@given(
    st.dictionaries(
        st.sampled_from(
            ["content_type", "content_encoding", "reply_to", "correlation_id", "application_headers"]
        ),
        st.none() | st.text() | st.integers() | st.lists(st.text()) | st.dictionaries(st.text(), st.text()),
    ),
    st.sampled_from(["numbergroup.commands", DEAD_LETTER_QUEUE]),
)
def test_no_properties_make_it_raise(properties: dict[str, Any], queue: str) -> None:
    made = entry(queue, **properties)
    assert made.problem is None or len(made.problem) < 200


PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "reply_to": st.sampled_from(["a", "b", "\ud800"]),
        "correlation_id": st.sampled_from(["a", "b"]),
        "content_type": st.sampled_from(["application/json", "text/plain", "text/html"]),
    },
)


@given(PROPERTIES, PROPERTIES, st.sampled_from(["numbergroup.commands", DEAD_LETTER_QUEUE]))
def test_messages_have_one_name_where_one_answer_fits_both(one: Any, other: Any, queue: str) -> None:
    """Equal bodies with equal properties have one name, and so one dead letter; what is answered elsewhere,
    or refused for another reason, has a name of its own."""
    first, second = entry(queue, **one), entry(queue, **other)
    alike = [(made.reply_to, made.correlation_id, made.problem) for made in (first, second)]
    assert (first.dead_letter_name == second.dead_letter_name) is (alike[0] == alike[1])
    assert first.dead_letter_name == entry(queue, **one).dead_letter_name
