"""One account: whose turn it is, its health, its breaker, its budgets."""
