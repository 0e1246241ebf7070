"""Merging: waiting commands become one change, and the change becomes the fewest calls."""
