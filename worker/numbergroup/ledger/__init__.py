"""The ledger: the durable state of commands, groups, partitions and workers, beside the broker's log."""
