"""One account: its queue of groups, its health, its breaker and its budgets."""
