"""The worker: consumes group-change commands, merges them, calls the vendor, answers every one."""
