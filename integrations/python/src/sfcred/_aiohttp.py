"""For aiohttp, which has no place for an auth object: headers, and a middleware.

Neither needs aiohttp to be there.
"""

from __future__ import annotations

import sys
from typing import Any, Awaitable, Callable, Dict, Optional

from . import hosts
from .errors import UsageError
from .source import Source, checked_ttl, source_of

_Handler = Callable[[Any], Awaitable[Any]]


async def headers(
    url: object, profile: Optional[str] = None, *, min_ttl: float = 60
) -> Dict[str, str]:
    """The headers that authorize a request to url, a str or a yarl.URL.

        async with session.get(url, headers=await sfcred.headers(url)) as response:

    A URL that the token may not go to raises HostNotAllowed. aiohttp takes the
    header off where a redirect goes to another origin.
    """
    text = str(url)
    hosts.parse(text)
    token = await source_of(profile).aget(checked_ttl(min_ttl))
    token.check(text)
    return {"Authorization": token.header}


def middleware(
    profile: Optional[str] = None, *, min_ttl: float = 60
) -> Callable[[Any, _Handler], Awaitable[Any]]:
    """A client middleware for aiohttp 3.12 and later.

        async with aiohttp.ClientSession(middlewares=[sfcred.middleware()]) as session:

    aiohttp asks it for each hop of a redirect: one to a host that is not the
    profile's raises HostNotAllowed there.
    """
    made = _Middleware(source_of(profile), checked_ttl(min_ttl))
    aiohttp = sys.modules.get("aiohttp")  # it would say "unexpected keyword argument"
    if aiohttp is not None and not _takes_middlewares(aiohttp):
        raise UsageError(
            f"middleware() is for aiohttp 3.12 and later, and this is {aiohttp.__version__}",
            "session.get(url, headers=await sfcred.headers(url))",
        )
    return made


def _takes_middlewares(aiohttp: Any) -> bool:
    import inspect  # for a moment's use it is slow to load

    return "middlewares" in inspect.signature(aiohttp.ClientSession.__init__).parameters


class _Middleware:
    def __init__(self, source: Source, min_ttl: float) -> None:
        self._source = source
        self._min_ttl = min_ttl

    async def __call__(self, request: Any, handler: _Handler) -> Any:
        url = str(request.url)
        hosts.parse(url)
        token = await self._source.aget(self._min_ttl)
        token.check(url)
        request.headers["Authorization"] = token.header
        response = await handler(request)
        if response.status != 401 or not _can_be_sent_again(request.body):
            return response
        try:
            fresh = await self._source.arenew(token.value, self._min_ttl)
            if fresh is None:
                return response
            fresh.check(url)
        except BaseException:
            response.close()
            raise
        response.release()
        request.headers["Authorization"] = fresh.header
        response = await handler(request)
        if response.status == 401:
            self._source.give_up(fresh)
        return response


def _can_be_sent_again(body: Any) -> bool:
    """aiohttp 3.12 takes a payload back to its start, unless it is consumed."""
    return isinstance(body, bytes) or getattr(body, "consumed", True) is False
