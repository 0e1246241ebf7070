"""One group: its state, its batch, its calls in doubt, and what their outcomes mean."""
