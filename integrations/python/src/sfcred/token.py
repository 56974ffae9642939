"""An access token, and how it is read from what sfcred prints."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Optional, Tuple

from . import hosts as _hosts
from .errors import HostNotAllowed
from .hosts import Origin

# RFC 6750 section 2.1. Anything else would not be one header.
_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@dataclass(frozen=True)
class Token:
    """An access token. Its repr leaves the value out, so that it can be logged."""

    #: The token itself. Where it goes is up to you; see `check`.
    value: str = field(repr=False)
    #: When it ends, in UTC; None if the server did not say.
    expires_at: Optional[datetime]
    #: The profile that it is of.
    profile: str
    #: The hosts that it may go to, as `sfcred edit --host` names them.
    hosts: Tuple[str, ...]

    @property
    def header(self) -> str:
        """The value of an Authorization header."""
        return "Bearer " + self.value

    def check(self, url: str) -> Origin:
        """The origin of url, if the token may go there; else HostNotAllowed."""
        try:
            return _hosts.check(self.hosts, url)
        except HostNotAllowed as problem:
            message = problem.message
        raise HostNotAllowed(message, f"sfcred status {self.profile}")


def from_answer(answer: bytes) -> Optional[Token]:
    """Reads the answer of `sfcred token --json`; None if it is not one.

    None and no exception: that would carry the answer, token and all, in its
    traceback.
    """
    try:
        fields: Any = json.loads(answer)
        value, expires, profile = fields["access_token"], fields["expires_at"], fields["profile"]
        listed = tuple(fields["hosts"])
        # fromisoformat knows "Z" since Python 3.11.
        until = None if expires is None else datetime.fromisoformat(expires.replace("Z", "+00:00"))
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    texts = all(isinstance(text, str) for text in (value, profile, *listed))
    if not texts or not _B64TOKEN.fullmatch(value) or (until is not None and until.tzinfo is None):
        return None
    return Token(value, until, profile, listed)
