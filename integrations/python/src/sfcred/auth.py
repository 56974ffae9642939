"""One object that authorizes the requests of requests and of httpx."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, AsyncGenerator, Generator, Optional, Tuple, TypeVar

from . import _httpx, _requests
from .source import checked_ttl, source_of

if TYPE_CHECKING:
    import httpx

_Request = TypeVar("_Request")


class Auth:
    """Gives each request a token of sfcred, if it goes to a host of the profile.

        requests.get("https://api.nersc.gov/api/v1.2/account/", auth=sfcred.Auth())

    The token has at least min_ttl seconds left, or half of its life. A request to
    any other host raises HostNotAllowed before anything is sent. If the server
    answers 401, the request is sent once more, with a new token.

    Threads, tasks and clients may share one, and other processes may be given it.
    All objects of one profile share one token anyway.
    """

    # httpx asks for these.
    requires_request_body = False
    requires_response_body = False

    def __init__(self, profile: Optional[str] = None, *, min_ttl: float = 60) -> None:
        self._profile = profile
        self._min_ttl = checked_ttl(min_ttl)
        self._source = source_of(profile)

    def __repr__(self) -> str:
        return f"sfcred.Auth({self._profile!r}, min_ttl={self._min_ttl!r})"

    def __reduce__(self) -> Tuple[Any, ...]:
        # Another process has an environment, and tokens, of its own.
        return _rebuilt, (self._profile, self._min_ttl)

    if not TYPE_CHECKING:  # type checkers are content with a callable

        @property
        def __class__(self) -> type:
            """What isinstance is told. httpx has flows for an httpx.Auth only: of any
            other callable it takes one answer, on its loop. To inherit from that
            class would have all others load httpx."""
            return getattr(sys.modules.get("httpx"), "Auth", Auth)

    def __call__(self, request: _Request) -> _Request:
        """Authorizes a request of requests, whose `auth=` is any callable."""
        _requests.authorize(request, self._source, self._min_ttl)
        return request

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Authorizes a request of an httpx.Client."""
        attempt = _httpx.Attempt(request)
        token = self._source.get(self._min_ttl)
        response = yield attempt.authorized(token)
        if attempt.rejected(response) and attempt.rewind():
            fresh = self._source.renew(token.value, self._min_ttl)
            if fresh is not None:
                response = yield attempt.authorized(fresh)
                if attempt.rejected(response):
                    self._source.give_up(fresh)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Authorizes a request of an httpx.AsyncClient. Its loop goes on meanwhile."""
        attempt = _httpx.Attempt(request)
        token = await self._source.aget(self._min_ttl)
        response = yield attempt.authorized(token)
        if attempt.rejected(response) and attempt.rewind():
            fresh = await self._source.arenew(token.value, self._min_ttl)
            if fresh is not None:
                response = yield attempt.authorized(fresh)
                if attempt.rejected(response):
                    self._source.give_up(fresh)


def _rebuilt(profile: Optional[str], min_ttl: float) -> Auth:
    return Auth(profile, min_ttl=min_ttl)
