"""Decoding: bytes become commands or refusals."""
