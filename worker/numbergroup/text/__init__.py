"""Text that other programs and people wrote: how it is read, shown on a terminal, and compared. Pure."""
