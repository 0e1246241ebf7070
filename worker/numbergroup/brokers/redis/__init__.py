"""The broker on Redis: Redis Streams, and the lists to which kombu's producers publish."""
