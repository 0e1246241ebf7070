"""What operators see: logs, metrics, and named points at which tests interrupt the work."""
