"""NXCloud's PNS number groups and Ozonetel's block-number groups, emulated over real HTTP on loopback, with
faults on demand.

Usable by itself: `numbergroup.sandbox.server.start` is the way in, `GET /` on a running one tells the rest.
"""
