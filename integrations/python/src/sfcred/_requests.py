"""What is special to requests: its hooks, its redirects, its bodies.

requests asks an auth object once, for the first request. It copies the hooks of
that request to each one that it makes of a redirect, so a hook has to see for
itself whose answer it has.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Callable, Tuple

from . import hosts
from .source import Source

if TYPE_CHECKING:
    import requests


def authorize(request: Any, source: Source, min_ttl: float) -> None:
    """Authorizes a PreparedRequest: its URL is the one that is connected to."""
    if not hasattr(request, "register_hook"):
        raise TypeError(
            f"sfcred.Auth is for requests and httpx, not for a {type(request).__name__};"
            " see sfcred.middleware and sfcred.headers"
        )
    origin = hosts.parse(request.url)  # before sfcred is asked: it may be foreign by form
    token = source.get(min_ttl)
    token.check(request.url)
    request.headers["Authorization"] = token.header
    request.register_hook("response", _Again(request, origin, source, min_ttl))


class _Again:
    """The hook that answers a 401 with a new token, once."""

    def __init__(self, request: Any, origin: hosts.Origin, source: Source, min_ttl: float) -> None:
        self._first = weakref.ref(request)  # it holds us
        self._origin = origin
        self._source = source
        self._min_ttl = min_ttl
        self._spent = False

    def __call__(self, response: requests.Response, **kwargs: Any) -> requests.Response:
        request = response.request
        if request is self._first():
            self._spent = False  # a prepared request may be sent again, hours later
        if response.status_code != 401 or self._spent:
            return response
        if hosts.origin(request.url or "") != self._origin or not _rewind(request):
            return response
        self._spent = True
        return self._send_again(response, **kwargs)

    def __reduce__(self) -> Tuple[Any, ...]:
        # A response, and with it this hook, is copied and sent between processes:
        # by multiprocessing, Dask, caches. There it has nothing left to do.
        return _no_hook, ()

    def _send_again(self, response: requests.Response, **kwargs: Any) -> requests.Response:
        rejected = response.request.headers.get("Authorization", "").rpartition(" ")[2]
        try:
            fresh = self._source.renew(rejected, self._min_ttl)
            if fresh is not None:
                fresh.check(response.request.url or "")
        except BaseException:
            response.close()
            raise
        if fresh is None:
            return response
        second = _resend(response, fresh.header, **kwargs)
        if second.status_code == 401:
            self._source.give_up(fresh)
        return second


def _no_hook() -> Callable[..., None]:
    return _leave


def _leave(response: requests.Response, **kwargs: Any) -> None:
    """The hook that takes an answer as it is."""


def _resend(response: requests.Response, header: str, **kwargs: Any) -> requests.Response:
    """Sends a response's request again, as requests' own HTTPDigestAuth does."""
    from requests import cookies

    extract: Any = cookies.extract_cookies_to_jar
    connection: Any = getattr(response, "connection")
    response.content  # to the end, so that the connection can be used again
    response.close()
    request: Any = response.request
    # A redirect of the second answer is made of the first request.
    request.headers["Authorization"] = header
    again = request.copy()
    extract(again._cookies, request, response.raw)
    again.prepare_cookies(again._cookies)
    second: requests.Response = connection.send(again, **kwargs)
    second.history.append(response)
    second.request = again
    return second


def _rewind(request: Any) -> bool:
    """Takes a body back to where it began, if it can be."""
    if request.body is None or isinstance(request.body, (bytes, str)):
        return True
    if not isinstance(request._body_position, int):  # a generator, or a pipe
        return False
    from requests.exceptions import UnrewindableBodyError
    from requests.utils import rewind_body

    try:
        rewind_body(request)
    except (UnrewindableBodyError, ValueError):  # the last: of a file that is closed
        return False
    return True
