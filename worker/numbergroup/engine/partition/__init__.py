"""One partition: its groups, admission, quarantine, and poison detection."""
