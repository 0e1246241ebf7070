"""Logs and metrics for operators, and failpoints for tests."""
