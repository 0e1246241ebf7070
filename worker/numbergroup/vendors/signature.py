"""NXCloud's request signature.

Source: the vendor's "API call agreement" page (its three published vectors are in the tests).
"""

import hashlib
from typing import Literal

Algorithm = Literal["md5", "sha256"]


def sign(
    *, access_key: str, action: str, biz_type: str, ts: str, body: bytes, secret: str, algorithm: Algorithm
) -> str:
    """Return the signature, in lowercase hex, over exactly the bytes that are sent.

    `ts` is Unix time in milliseconds, in decimal. The signed text leaves out an empty `body`, as the vendor's
    page says. `algorithm` is sent in a header of its own and is never signed.
    """
    head = f"accessKey={access_key}&action={action}&bizType={biz_type}&ts={ts}".encode()
    raw = head + (b"&body=" + body if body else b"") + f"&accessSecret={secret}".encode()
    return hashlib.new(algorithm, raw, usedforsecurity=False).hexdigest()
