"""What is special to httpx: its URLs, its redirects, its bodies.

httpx follows redirects inside an auth flow, so that an answer may be another
server's; what the flow yields goes to the first one again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional

from . import hosts
from .token import Token

if TYPE_CHECKING:
    import httpx


class Attempt:
    """A request that may be sent twice."""

    def __init__(self, request: httpx.Request) -> None:
        self._request = request
        self._url = _address(request.url)
        self._origin = hosts.parse(self._url)
        self._rewind = _bookmark(request.stream)

    def authorized(self, token: Token) -> httpx.Request:
        token.check(self._url)
        self._request.headers["Authorization"] = token.header
        return self._request

    def rejected(self, response: httpx.Response) -> bool:
        """Whether the server that was asked has answered 401."""
        if response.status_code != 401:
            return False
        url = response.request.url
        return url == self._request.url or hosts.origin(_address(url)) == self._origin

    def rewind(self) -> bool:
        """Makes the body ready to be sent again, if it can be."""
        if self._rewind is None:
            return False
        try:
            self._rewind()
        except (OSError, ValueError):  # of a file that is closed
            return False
        return True


def _address(url: httpx.URL) -> str:
    """A URL, made of the parts that httpx connects to, and of what it leaves out."""
    user = url.userinfo.decode("ascii", "replace")
    at = "@" if user else ""
    netloc, path = (part.decode("ascii", "replace") for part in (url.netloc, url.raw_path))
    return f"{url.scheme}://{user}{at}{netloc}{path}"


def _bookmark(stream: Any) -> Optional[Callable[[], object]]:
    """A function that takes a body back to where it is now; None if there is none.

    httpx shows a stream's insides to nobody. Where they are not what they were,
    the body is not sent twice.
    """
    import httpx

    if isinstance(stream, httpx.ByteStream):
        return lambda: None
    if hasattr(stream, "fields"):  # a form, which goes back to the start of its files itself
        files = [getattr(field, "file", b"") for field in stream.fields]
        whole = all(isinstance(file, (str, bytes)) or _is_seekable(file) for file in files)
        return (lambda: None) if whole else None
    file: Any = getattr(stream, "_stream", None)
    if _is_seekable(file):
        position = file.tell()
        return lambda: file.seek(position)
    return None


def _is_seekable(file: Any) -> bool:
    try:
        return bool(file.seekable())
    except (AttributeError, ValueError):
        return False
