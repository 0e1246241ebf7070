"""The engine: a plain state machine without I/O, clock, randomness or logging.

Events go in, effects come out (`numbergroup.engine.events`). Everything here can be run by a
simulator, seed by seed, and tested without a mock.
"""
