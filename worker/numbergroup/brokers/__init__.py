"""The broker: the log of commands, and the reply queues."""
