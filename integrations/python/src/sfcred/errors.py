"""What can go wrong, by what the person who sees it has to do.

The classes are the exit codes of sfcred, which are fixed, and two things that
happen before there is one: it is not installed, or it does not answer. No
error ever holds a token; the message of sfcred, with its hint, is in the text.
"""

from __future__ import annotations

from typing import Mapping, Type


class Error(Exception):
    """There is no token. Its text says why, and what to type."""

    #: The exit code of sfcred that it stands for.
    exit_code = 1

    def __init__(self, message: str, *hints: str) -> None:
        super().__init__(message, *hints)  # all, so that it can be pickled
        self.message = message
        self.hints = hints

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"hint: {hint}" for hint in self.hints)])


class UsageError(Error):
    """sfcred was called wrongly: most likely by a variable that cannot be meant."""

    exit_code = 2


class ProfileNotFound(Error):
    """There is no such profile, or no profile at all."""

    exit_code = 3


class HostNotAllowed(Error):
    """The token may not go to this URL, so nothing was sent."""

    exit_code = 3


class ClientRefused(Error):
    """The server refused the client: most likely it has expired."""

    exit_code = 4


class KeyUnavailable(Error):
    """The key store is locked or out of reach."""

    exit_code = 5


class ServerUnreachable(Error):
    """The network or the server is down."""

    exit_code = 6


class NotInstalled(Error):
    """The program sfcred is not there."""

    exit_code = 127


class TimedOut(Error):
    """sfcred did not answer in time, and was ended."""

    exit_code = 124


#: Of an error that sfcred itself reports; all other codes are plain Error.
BY_EXIT_CODE: Mapping[int, Type[Error]] = {
    2: UsageError,
    3: ProfileNotFound,
    4: ClientRefused,
    5: KeyUnavailable,
    6: ServerUnreachable,
}
