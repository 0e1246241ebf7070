"""The root of the exceptions that numbergroup raises on purpose; `numbergroup.errors` draws the whole tree.

NumbergroupError
├── PublishError            not everything was published, or it is unknown whether it was
│   └── InvalidCommand      (also a ValueError) one of the commands is invalid
└── InvalidUrl              (also a ValueError) the URL of a broker cannot be used
"""


class NumbergroupError(Exception):
    """Base class of all exceptions of this project."""
