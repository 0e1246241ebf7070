"""Lets operators find, read, replay, edit, discard, export and import dead letters.

Workers write dead letters when they settle commands, and process replayed ones. A letter leaves its stream
only if it is replayed or an operator discards it. Each change is one script for a page of letters; the script
also updates the counters and the action's entry in the audit stream.
"""
