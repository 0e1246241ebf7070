"""The ledger: the small durable state beside the broker's log."""
