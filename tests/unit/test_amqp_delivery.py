"""Entries are built from deliveries: what the properties of a message decide."""

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
def test_json_is_accepted(content_type: str | None, encoding: str | None) -> None:
    built = entry(content_type=content_type, content_encoding=encoding)
    assert (built.problem, built.partition, built.body) == (None, 2, b"{}")


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        ({"content_type": "application/x-python-serialize"}, "content type must be application/json"),
        ({"content_type": "application/x-yaml"}, "content type"),
        ({"content_type": "text/plain"}, "content type"),
        ({"content_encoding": "utf-16"}, "content encoding must be utf-8"),
        ({"application_headers": {"compression": "application/x-gzip"}}, "without compression"),
        ({"application_headers": {"compression": None}}, "without compression"),
    ],
)
def test_other_formats_are_refused(properties: dict[str, Any], problem: str) -> None:
    """The properties decide; the body is not parsed."""
    built = entry(**properties)
    assert problem in (built.problem or "")
    assert built.body == b"{}"


def test_reply_properties() -> None:
    built = entry(reply_to="numbergroup.replies.crm", correlation_id="77")
    assert (built.reply_to, built.correlation_id, built.from_list) == ("numbergroup.replies.crm", "77", False)


def test_a_message_that_rabbitmq_dead_lettered() -> None:
    """RabbitMQ's reason becomes the problem."""
    deaths = [{"reason": "delivery_limit", "queue": "numbergroup.commands", "count": 1}]
    built = entry(DEAD_LETTER_QUEUE, application_headers={"x-death": deaths})
    assert built.problem == "the broker gave it up: delivery_limit, queue numbergroup.commands"
    assert built.problem_kind == "crashed"
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
def test_no_properties_raise(properties: dict[str, Any], queue: str) -> None:
    built = entry(queue, **properties)
    assert built.problem is None or len(built.problem) < 200


PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "reply_to": st.sampled_from(["a", "b", "\ud800"]),
        "correlation_id": st.sampled_from(["a", "b"]),
        "content_type": st.sampled_from(["application/json", "text/plain", "text/html"]),
    },
)


@given(PROPERTIES, PROPERTIES, st.sampled_from(["numbergroup.commands", DEAD_LETTER_QUEUE]))
def test_equal_messages_share_a_dead_letter_name(properties: Any, other: Any, queue: str) -> None:
    """Messages with equal bodies differ in name if their answers go elsewhere, or differ in their error."""
    first, second = entry(queue, **properties), entry(queue, **other)
    answers = [(built.reply_to, built.correlation_id, built.problem) for built in (first, second)]
    assert (first.dead_letter_name == second.dead_letter_name) is (answers[0] == answers[1])
    assert first.dead_letter_name == entry(queue, **properties).dead_letter_name
