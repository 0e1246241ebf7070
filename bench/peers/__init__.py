"""What a user would pick otherwise: each library with the same task, as its documentation advises.

The programs run in environments of their own (`requirements.txt`, `requirements-older.txt`); only
`contenders` runs in the project's.
"""
