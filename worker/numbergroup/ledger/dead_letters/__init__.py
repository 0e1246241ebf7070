"""Dead letters as operators have them: found, read, replayed, edited, discarded, carried elsewhere.

The worker writes them when it settles, and takes in what is replayed. Nothing here drops a letter: what
leaves the streams has gone to the side log, or an operator discarded it. Every change is one script for a
page of letters, with its counters and its entry in the audit stream.
"""
