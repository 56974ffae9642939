"""A Session of requests that netrc has no say in."""

from __future__ import annotations

from typing import Any

import requests

from . import hosts
from .auth import Auth


class Session(requests.Session):
    """A requests.Session whose token stays, and stays where it belongs.

    A plain one lets an entry of ~/.netrc replace the token at every redirect, even
    to the same host, and sends plain http to this very machine through http_proxy.
    Other proxies, and certificates, still come from the environment.
    """

    def __init__(self, auth: Auth) -> None:
        super().__init__()
        self.auth = auth

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Sends without a proxy what is sent in the clear, which is for loopback."""
        if (request.url or "").lower().startswith("http://") and "Authorization" in request.headers:
            kwargs["proxies"] = {}
        return super().send(request, **kwargs)

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Takes the token from a request that a redirect sends elsewhere."""
        before = hosts.origin(response.request.url or "")
        if before is None or before != hosts.origin(prepared_request.url or ""):
            prepared_request.headers.pop("Authorization", None)
