"""The vendor's call for programs that block: one pool of connections, kept alive, for all threads."""

import urllib3

from bench.peers.task import VENDOR_URL, Call, succeeded

_CONNECTIONS = 256

_pool = urllib3.PoolManager(maxsize=_CONNECTIONS)


def post(call: Call) -> str:
    """The requestId. Raises ValueError if the vendor did not accept it."""
    return succeeded(_pool.request("POST", VENDOR_URL, headers=call.headers, body=call.body).data)
