"""Access tokens from sfcred, on demand.

    import requests, sfcred
    requests.get("https://api.nersc.gov/api/v1.2/account/", auth=sfcred.Auth())

The program sfcred has the private key, gets the tokens, and says where they may
go; this package asks it, and never sees the key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from ._aiohttp import headers, middleware
from .auth import Auth
from .errors import (
    ClientRefused,
    Error,
    HostNotAllowed,
    KeyUnavailable,
    NotInstalled,
    ProfileNotFound,
    ServerUnreachable,
    TimedOut,
    UsageError,
)
from .source import checked_ttl, source_of
from .token import Token
from .version import __version__

if TYPE_CHECKING:
    import requests

    from . import sfapi as sfapi

# Without sfapi: `from sfcred import *` would need the official client.
__all__ = [
    "Auth",
    "ClientRefused",
    "Error",
    "HostNotAllowed",
    "KeyUnavailable",
    "NotInstalled",
    "ProfileNotFound",
    "ServerUnreachable",
    "TimedOut",
    "Token",
    "UsageError",
    "__version__",
    "headers",
    "middleware",
    "session",
    "token",
]


def token(profile: Optional[str] = None, *, min_ttl: float = 60) -> Token:
    """The token itself. Where it goes is up to you; `Token.check` tells."""
    return source_of(profile).get(checked_ttl(min_ttl))


def session(profile: Optional[str] = None, *, min_ttl: float = 60) -> requests.Session:
    """A requests.Session that authorizes its requests, as Auth does, and in which
    ~/.netrc cannot replace the token, not even after a redirect."""
    from ._session import Session

    return Session(Auth(profile, min_ttl=min_ttl))


def __getattr__(name: str) -> Any:
    """Loads sfcred.sfapi, and with it the official client, only where it is used."""
    if name == "sfapi":
        from importlib import import_module

        try:
            return import_module("sfcred.sfapi")
        except ModuleNotFoundError as missing:
            # hasattr is to say no. "import sfcred.sfapi" raises what it was.
            raise AttributeError(f"sfcred.sfapi needs the package {missing.name}") from missing
    raise AttributeError(f"module 'sfcred' has no attribute {name!r}")
