"""Settling: verdicts become results, records and dead letters, written as one unit."""
