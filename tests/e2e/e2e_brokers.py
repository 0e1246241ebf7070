"""What is tested on every broker."""

import pytest

on_both_brokers = pytest.mark.parametrize(
    "broker", ["redis", pytest.param("amqp", marks=pytest.mark.rabbitmq_server)], indirect=True
)
"""For tests, and modules of tests, whose stage may be on either."""
