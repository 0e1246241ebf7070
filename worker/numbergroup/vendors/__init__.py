"""The vendors: calls become signed requests, and answers become outcomes."""
