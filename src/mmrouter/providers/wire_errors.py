"""What can go wrong between a request and the end of its answer.

    WireError
    ├── ConnectError     no connection: DNS, refused, TLS, a proxy that will not
    ├── ClosedError      it ended before the answer's headers were whole
    ├── TruncatedError   it ended within the answer's body
    ├── ProtocolError    what came is not HTTP/1.1, or more than is taken
    └── TimedOutError    nothing came in time

No message holds a header, a body, an address or a credential.
"""

from __future__ import annotations


class WireError(Exception):
    """A call did not come to a whole answer."""


class ConnectError(WireError):
    """No connection could be made."""


class ClosedError(WireError):
    """The connection ended before the headers were whole. `begun`: some bytes had come."""

    def __init__(self, *, begun: bool) -> None:
        super().__init__("the connection was closed before an answer came")
        self.begun = begun


class TruncatedError(WireError):
    """The connection, or the compressed data, ended within the body."""


class ProtocolError(WireError):
    """The answer is not HTTP/1.1 as RFC 9112 has it, or exceeds a limit."""


class TimedOutError(WireError):
    """Nothing came before the given instant."""
