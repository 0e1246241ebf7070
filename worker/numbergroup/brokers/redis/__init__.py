"""Redis Streams as a broker, with the lists of kombu's producers."""
