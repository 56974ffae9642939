"""headers and middleware with the real aiohttp.

Client middlewares came with aiohttp 3.12. With an older one the middleware is
called as aiohttp's documentation says that they are, by a client of the test.
"""

from __future__ import annotations

import asyncio
import io
import ssl
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Awaitable, Callable, Dict, List, cast

import aiohttp
import pytest
import yarl

import sfcred
from conftest import Demo, Machine
from servers import OK, UNAUTHORIZED, Server, redirect

HAS_MIDDLEWARES = tuple(map(int, aiohttp.__version__.split(".")[:2])) >= (3, 12)


@pytest.fixture(autouse=True)
def new_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has an aiohttp that is called by the tests themselves pass for a later one."""
    if not HAS_MIDDLEWARES:
        monkeypatch.setattr("sfcred._aiohttp._takes_middlewares", lambda aiohttp: True)


def bearer() -> str:
    return sfcred.token().header


def run(main: Callable[[aiohttp.ClientSession], Awaitable[Any]], **options: Any) -> Any:
    async def with_session() -> Any:
        async with aiohttp.ClientSession(**options) as session:
            return await main(session)

    return asyncio.run(with_session())


def test_the_api(machine: Machine, demo: Demo) -> None:
    async def main(session: aiohttp.ClientSession) -> Any:
        url = demo.api + "/account"  # it redirects
        async with session.get(url, headers=await sfcred.headers(url)) as answer:
            return await answer.json()

    assert run(main)["name"] == "ada"


def test_over_https(bare: Machine, programs: Path, tmp_path: Path) -> None:
    demo = Demo(programs, tmp_path, "--tls")
    bare.use(demo)
    context = ssl.create_default_context(cafile=demo.env["SSL_CERT_FILE"])

    async def main(session: aiohttp.ClientSession) -> Any:
        url = yarl.URL(demo.api) / "account/"
        async with session.get(url, headers=await sfcred.headers(url), ssl=context) as answer:
            return await answer.json()

    try:
        assert run(main)["name"] == "ada"
    finally:
        demo.close()


def test_another_host(machine: Machine, other: Server) -> None:
    for url in (other.url, yarl.URL(other.url), "http://u:p@127.0.0.1/", "127.0.0.1"):
        with pytest.raises(sfcred.HostNotAllowed):
            asyncio.run(sfcred.headers(url))


@pytest.mark.parametrize("url", ["/account", "account/", "?q=1", "", "//api.example.org/", "api.example.org/x"])
def test_a_relative_url(url: str) -> None:
    with pytest.raises(sfcred.HostNotAllowed, match="a relative URL: give the whole one, https://HOST/"):
        asyncio.run(sfcred.headers(url))


def test_min_ttl_and_profile(machine: Machine) -> None:
    with pytest.raises(sfcred.ProfileNotFound):
        asyncio.run(sfcred.headers("http://127.0.0.1/", "lab", min_ttl=5))
    assert machine.runs() == ["token --json --min-ttl=5s --profile=lab"]


def test_1000_requests(machine: Machine, demo: Demo) -> None:
    url = demo.api + "/account/"

    async def get(session: aiohttp.ClientSession) -> int:
        async with session.get(url, headers=await sfcred.headers(url)) as answer:
            return answer.status

    async def main(session: aiohttp.ClientSession) -> List[int]:
        return await asyncio.gather(*(get(session) for _ in range(1000)))

    assert run(main) == [200] * 1000
    assert len(machine.runs()) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(machine: Machine, server: Server, other: Server, status: int) -> None:
    """aiohttp itself takes the header off."""

    async def main(session: aiohttp.ClientSession) -> int:
        async with session.get(server.url, headers=await sfcred.headers(server.url)) as answer:
            return answer.status

    server.answers(redirect("/there", status), OK)
    assert run(main) == 200
    with Server() as neighbour:
        for target in (other, neighbour):
            server.answers(redirect(target.url, status))
            assert run(main) == 200
            assert target.tokens() == [None]
    assert server.tokens() == [bearer()] * 4


class Documented:
    """A client that calls middlewares as the documentation says: one coroutine,
    given the request, with its url, headers and body, and a handler that sends it.
    https://docs.aiohttp.org/en/stable/client_advanced.html#client-middleware"""

    def __init__(self, *statuses: int, body: Any = b"") -> None:
        self.statuses = list(statuses)
        self.body = body
        self.sent: List[Dict[str, str]] = []
        self.closed: List[str] = []

    async def handler(self, request: Any) -> Any:
        self.sent.append(dict(request.headers))
        return SimpleNamespace(
            status=self.statuses.pop(0),
            release=lambda: self.closed.append("release"),
            close=lambda: self.closed.append("close"),
        )

    def get(self, url: str) -> int:
        request = SimpleNamespace(url=yarl.URL(url), headers={}, body=self.body, method="GET")

        async def main() -> Any:
            return await sfcred.middleware()(request, self.handler)

        return int(asyncio.run(main()).status)

    def tokens(self) -> List[str]:
        return [headers["Authorization"] for headers in self.sent]


def test_middleware(machine: Machine) -> None:
    client = Documented(200)
    assert client.get("http://127.0.0.1/") == 200
    assert client.tokens() == [bearer()]


def test_middleware_and_an_old_aiohttp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    class OldSession:
        def __init__(self, base_url: str = "") -> None: ...

    class Session:
        def __init__(self, base_url: str = "", *, middlewares: Any = ()) -> None: ...

    old = SimpleNamespace(ClientSession=OldSession, __version__="3.8.4")
    monkeypatch.setitem(cast(Any, sys.modules), "aiohttp", old)
    wrong = r"middleware\(\) is for aiohttp 3.12 and later, and this is 3.8.4\nhint: .*headers\(url\)"
    with pytest.raises(sfcred.UsageError, match=wrong):
        sfcred.middleware()
    monkeypatch.setitem(cast(Any, sys.modules), "aiohttp", SimpleNamespace(ClientSession=Session))
    assert callable(sfcred.middleware())
    monkeypatch.delitem(sys.modules, "aiohttp")
    assert callable(sfcred.middleware())  # who knows what will call it


def test_middleware_and_another_host(machine: Machine) -> None:
    client = Documented()
    with pytest.raises(sfcred.HostNotAllowed):
        client.get("http://localhost/")
    assert client.sent == []


def test_middleware_replaces_a_token_once(machine: Machine) -> None:
    first = bearer()
    client = Documented(401, 200)
    assert client.get("http://127.0.0.1/") == 200
    assert client.tokens() == [first, bearer()] and first != bearer()
    assert client.closed == ["release"]
    client = Documented(401, 401)
    assert client.get("http://127.0.0.1/") == 401 and len(client.sent) == 2
    client = Documented(401)  # the one that was new a moment ago
    assert client.get("http://127.0.0.1/") == 401
    assert client.closed == []


@pytest.mark.parametrize(
    "body, sent",
    [
        (b"body", 2),
        (SimpleNamespace(consumed=False), 2),
        (SimpleNamespace(consumed=True), 1),
        (SimpleNamespace(), 1),
    ],
)
def test_middleware_and_the_body(machine: Machine, body: Any, sent: int) -> None:
    client = Documented(401, 200, body=body)
    assert client.get("http://127.0.0.1/") == (200 if sent == 2 else 401)
    assert len(client.sent) == sent


def test_middleware_and_no_fresh_token(machine: Machine) -> None:
    sfcred.token()
    machine.script("exit 4")
    client = Documented(401)
    with pytest.raises(sfcred.ClientRefused):
        client.get("http://127.0.0.1/")
    assert client.closed == ["close"]


class Generated:
    def __aiter__(self) -> "Generated":
        self._parts = iter([b"bo", b"dy"])
        return self

    async def __anext__(self) -> bytes:
        for part in self._parts:
            return part
        raise StopAsyncIteration


@pytest.mark.skipif(not HAS_MIDDLEWARES, reason=f"aiohttp {aiohttp.__version__} has no middlewares")
class TestRealMiddlewares:
    def get(self, url: str, **options: Any) -> int:
        async def main(session: aiohttp.ClientSession) -> int:
            async with session.request("POST", url, **options) as answer:
                await answer.read()
                return answer.status

        return int(run(main, middlewares=(sfcred.middleware(),)))

    @pytest.mark.parametrize(
        "body, sent",
        [
            (lambda: None, 2),
            (lambda: b"body", 2),
            (lambda: {"a": "b"}, 2),
            (lambda: io.BytesIO(b"body"), 2),
            (lambda: Generated(), 1),
        ],
    )
    def test_401(self, machine: Machine, server: Server, body: Any, sent: int) -> None:
        first = bearer()
        server.answers(UNAUTHORIZED, OK)
        assert self.get(server.url, data=body()) == (200 if sent == 2 else 401)
        assert server.tokens() == [first, bearer()][:sent]
        assert len({request.body for request in server.requests}) == 1

    def test_redirects(self, machine: Machine, server: Server, other: Server) -> None:
        server.answers(redirect("/there"), OK)
        assert self.get(server.url) == 200
        assert server.tokens() == [bearer()] * 2
        server.answers(redirect(other.url))
        with pytest.raises(sfcred.HostNotAllowed):
            self.get(server.url)
        assert other.requests == []

    def test_another_host(self, machine: Machine, other: Server) -> None:
        with pytest.raises(sfcred.HostNotAllowed):
            self.get(other.url)
        assert other.requests == []
