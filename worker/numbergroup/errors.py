"""The tree of exceptions. Each package translates the errors of the libraries that it uses into these.

NumbergroupError
├── ServerError             a server that the worker depends on cannot be used now
│   ├── BrokerUnavailable   no answer from the broker, or a refusal that may pass
│   │   └── ServerNotReady  it answers, but is not ready; a worker waits for it
│   ├── LedgerUnavailable   no answer from the ledger, or a refusal that may pass
│   ├── HistoryChanged      the Redis server is another one, or has lost writes
│   ├── ReadOnly            the Redis server is a read-only replica
│   └── UnfitServer         the server's setup loses data or forbids the work
├── OwnershipLost           nothing may be written for the partition any more
│   ├── LeaseLost           the lease has ended, or may have ended
│   └── StaleEpoch          another owner has a later epoch, or the log was replaced
├── PartitionCountChanged   another number of partitions is in force
├── TransportError          a request to the vendor got no answer
│   ├── NotConnected        nothing was sent: no connection
│   ├── TooLate             nothing was sent: the time for it is over
│   ├── Withdrawn           nothing was sent: a check right before sending forbade it
│   └── NoAnswer            the request may have been sent
├── IllegalTransition       a fault of the engine: a group's next state cannot follow its present one
├── BadAnswer               the vendor reports success without the data of a success
├── SettingsError           (also a ValueError) the settings cannot be used
├── CommandError            a command of the command line failed
├── InvalidCombination      (also a ValueError) the fields of an event contradict each other
├── InvalidLine             (also a ValueError) a line of an exported file cannot be imported
├── TooLarge                (also a ValueError) an answer is too large after decompression
├── UnreadableText          (also a ValueError) a file is not text
├── PublishError            not everything was published, or it is unknown whether it was
│   └── InvalidCommand      (also a ValueError) one of the commands is invalid
└── InvalidUrl              (also a ValueError) the URL of a broker cannot be used

Each class is defined by the package that raises it; this module defines the branches. Invalid arguments of
our own functions raise `ValueError`, and a missing optional library raises `ImportError`.
"""

from numbergroup_contracts.errors import NumbergroupError as NumbergroupError


class ServerError(NumbergroupError):
    """A server that the worker depends on does not answer, or cannot be used as it is."""


class OwnershipLost(NumbergroupError):
    """The partition has, or may have, another owner: nothing may be sent or settled for it."""


class TransportError(NumbergroupError):
    """A request to the vendor got no answer; the subclasses tell whether it was sent."""
