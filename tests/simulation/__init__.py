"""Deterministic simulation: the real worker, several of them, in a world made of one seed.

Real are the worker with all its parts, its callers and the vendor's adapter. Simulated are the event loop
with its clock, the broker, the ledger, the limiter, and the vendor behind the transport.
"""
