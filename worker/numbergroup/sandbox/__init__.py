"""Emulates NXCloud's PNS number groups and Ozonetel's block-number groups over HTTP, with faults on demand.

Start it with `numbergroup.sandbox.server.start`. `GET /` on a running sandbox describes its endpoints.
"""
