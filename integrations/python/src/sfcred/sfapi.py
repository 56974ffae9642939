"""The official client, sfapi_client, with tokens that never run out.

    from sfcred.sfapi import Client
    with Client() as client:
        client.compute("perlmutter")

The official clients take a key file, or an access token that ends after ten
minutes. These are the same clients, whose requests Auth authorizes. For that
they replace three things of the official ones, two of them private: where its
requests get their httpx client from, the token that it shows, and the ID by
which its methods tell that there are credentials. What is leaned on is looked at
once, on import, so that a later sfapi_client that is made otherwise is named
here and not by a 401.
"""

from __future__ import annotations

import inspect
from typing import Any, Optional

import httpx
import sfapi_client

from .auth import Auth
from .source import checked_ttl, source_of

__all__ = ["AsyncClient", "Client"]

#: As long as the official clients wait where they have a key.
_TIMEOUT = 10.0

_HEADERS = {"accept": "application/json"}


#: What the profile has, and a caller does not.
_OURS = {"client_id", "secret", "key", "access_token", "token_url"}


def _misfit(client: Any, is_async: bool) -> str:
    """What of an official client is not as it is leaned on; "" if all is."""
    takes = inspect.signature(client).parameters
    sends = inspect.unwrap(client.get).__code__.co_names
    is_coroutine = inspect.iscoroutinefunction(getattr(client, "_http_client", None))
    if any(parameter.default is parameter.empty for parameter in takes.values()):
        return "it needs a key"
    if "api_base_url" not in takes:
        return "it takes no api_base_url"
    if "_client_id" not in client.__init__.__code__.co_names:
        return "it keeps no _client_id"
    if not hasattr(client, "_http_client") or "_http_client" not in sends:
        return "it has no _http_client() that it sends by"
    if is_coroutine is not is_async:
        return "its _http_client() is of another kind"
    if not isinstance(getattr(client, "token", None), property):
        return "it has no token"
    return "" if callable(getattr(client, "close", None)) else "it has no close()"


def _check_upstream() -> None:
    for name, is_async in (("Client", False), ("AsyncClient", True)):
        client = getattr(sfapi_client, name, None)
        try:
            problem = "it is not there" if client is None else _misfit(client, is_async)
        except (AttributeError, TypeError, ValueError) as unlike:
            problem = f"it is made otherwise ({unlike})"
        if problem:
            raise ImportError(
                f"sfcred.sfapi does not fit the sfapi_client that is installed: {name}: {problem};"
                " sfcred.session() and sfcred.Auth do without it",
                name="sfcred.sfapi",
            )


_check_upstream()


def _checked(options: Any) -> Any:
    for name in sorted(_OURS & options.keys()):
        raise TypeError(f"{name} is not wanted: sfcred has it, in the profile")
    return options


class Client(sfapi_client.Client):  # type: ignore[misc]
    """sfapi_client.Client with the tokens of a profile of sfcred.

    Takes what the official one does (api_base_url, wait_interval), less the key.
    """

    def __init__(
        self, profile: Optional[str] = None, *, min_ttl: float = 60, **options: Any
    ) -> None:
        super().__init__(**_checked(options))
        self._client_id = "sfcred"  # its methods refuse to work for a client without one
        self._sfcred_ttl = checked_ttl(min_ttl)
        self._sfcred_source = source_of(profile)
        self._sfcred_auth = Auth(profile, min_ttl=min_ttl)
        self._sfcred_http: Optional[httpx.Client] = None

    def _http_client(self) -> httpx.Client:
        if self._sfcred_http is None:
            self._sfcred_http = httpx.Client(
                auth=self._sfcred_auth, headers=_HEADERS, timeout=_TIMEOUT
            )
        return self._sfcred_http

    @property
    def token(self) -> str:
        """The access token, as of now."""
        return self._sfcred_source.get(self._sfcred_ttl).value

    def close(self) -> None:
        """Closes the connections."""
        if self._sfcred_http is not None:
            self._sfcred_http.close()


class AsyncClient(sfapi_client.AsyncClient):  # type: ignore[misc]
    """sfapi_client.AsyncClient with the tokens of a profile of sfcred."""

    def __init__(
        self, profile: Optional[str] = None, *, min_ttl: float = 60, **options: Any
    ) -> None:
        super().__init__(**_checked(options))
        self._client_id = "sfcred"
        self._sfcred_ttl = checked_ttl(min_ttl)
        self._sfcred_source = source_of(profile)
        self._sfcred_auth = Auth(profile, min_ttl=min_ttl)
        self._sfcred_http: Optional[httpx.AsyncClient] = None

    async def _http_client(self) -> httpx.AsyncClient:
        if self._sfcred_http is None:
            self._sfcred_http = httpx.AsyncClient(
                auth=self._sfcred_auth, headers=_HEADERS, timeout=_TIMEOUT
            )
        return self._sfcred_http

    @property
    async def token(self) -> str:
        """The access token, as of now."""
        token = await self._sfcred_source.aget(self._sfcred_ttl)
        return token.value

    async def close(self) -> None:
        """Closes the connections."""
        if self._sfcred_http is not None:
            await self._sfcred_http.aclose()
