"""What is tested on which broker."""

import pytest

_RABBITMQ = pytest.param("amqp", marks=pytest.mark.rabbitmq_server)

on_both_brokers = pytest.mark.parametrize("broker", ["redis", _RABBITMQ], indirect=True)
"""For tests, and modules of tests, whose stage may be on either."""
on_rabbitmq = pytest.mark.parametrize("broker", [_RABBITMQ], indirect=True)
