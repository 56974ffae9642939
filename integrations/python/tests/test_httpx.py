"""Auth with the real httpx: its Client, and its AsyncClient under asyncio and trio."""

from __future__ import annotations

import asyncio
import io
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, List

import httpx
import pytest
import trio

import sfcred
from conftest import Demo, Machine
from servers import OK, UNAUTHORIZED, Server, redirect
from test_requests import Unseekable

Send = Callable[..., httpx.Response]


def by_client(method: str, url: str, **options: Any) -> httpx.Response:
    with httpx.Client(auth=sfcred.Auth(), follow_redirects=True) as client:
        return client.request(method, url, **options)


def by_async_client(run: Callable[[Any], Any]) -> Send:
    def send(method: str, url: str, **options: Any) -> Any:
        async def main() -> httpx.Response:
            async with httpx.AsyncClient(auth=sfcred.Auth(), follow_redirects=True) as client:
                return await client.request(method, url, **options)

        return run(main)

    return send


@pytest.fixture(params=["sync", "asyncio", "trio"])
def send(request: pytest.FixtureRequest) -> Send:
    kinds: Dict[str, Send] = {
        "sync": by_client,
        "asyncio": by_async_client(lambda main: asyncio.run(main())),
        "trio": by_async_client(trio.run),
    }
    return kinds[request.param]


def bearer() -> str:
    return sfcred.token().header


def test_the_api(machine: Machine, demo: Demo, send: Send) -> None:
    assert send("GET", demo.api + "/account").json()["name"] == "ada"  # it redirects


def test_over_https(bare: Machine, programs: Path, tmp_path: Path) -> None:
    demo = Demo(programs, tmp_path, "--tls")
    try:
        bare.use(demo)
        context = ssl.create_default_context(cafile=demo.env["SSL_CERT_FILE"])
        answer = httpx.get(demo.api + "/account/", auth=sfcred.Auth(), verify=context)
        assert answer.json()["name"] == "ada"
    finally:
        demo.close()


def test_it_is_an_auth_of_httpx() -> None:
    """Of anything else httpx would take one answer, and no second try. Nor does
    it matter which of the two is imported first."""
    assert isinstance(sfcred.Auth(), httpx.Auth) and isinstance(sfcred.Auth(), sfcred.Auth)
    code = "import sfcred; a = sfcred.Auth(); import httpx; assert isinstance(a, httpx.Auth)"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=True)


def test_another_host(machine: Machine, other: Server, send: Send) -> None:
    with pytest.raises(sfcred.HostNotAllowed, match="localhost"):
        send("GET", other.url)
    assert other.requests == []
    for url in ("http://api.nersc.gov/", "https://user:pass@127.0.0.1/", "https://127.0.0.1\u3002/"):
        with pytest.raises((sfcred.HostNotAllowed, httpx.InvalidURL)):
            send("GET", url)


def test_401_gets_a_fresh_token_once(machine: Machine, server: Server, send: Send) -> None:
    first = bearer()
    server.answers(UNAUTHORIZED, OK)
    answer = send("POST", server.url, content="body")
    assert (answer.status_code, answer.text) == (200, "ok")
    assert [old.status_code for old in answer.history] == [401]
    assert server.tokens() == [first, bearer()] and first != bearer()
    assert [request.body for request in server.requests] == [b"body", b"body"]
    assert machine.runs()[1] == "token --json --min-ttl=60s --force"


def test_401_twice_is_the_answer(machine: Machine, server: Server, send: Send) -> None:
    server.answers(UNAUTHORIZED)
    assert send("GET", server.url).status_code == 401 and len(server.requests) == 2
    assert send("GET", server.url).status_code == 401 and len(server.requests) == 3
    assert len(machine.runs()) == 2


def test_401_and_no_fresh_token(machine: Machine, server: Server, send: Send) -> None:
    sfcred.token()
    machine.script("echo 'sfcred: error: the client expired' >&2; exit 4")
    server.answers(UNAUTHORIZED)
    with pytest.raises(sfcred.ClientRefused, match="the client expired"):
        send("GET", server.url)


def test_the_loop_goes_on_while_a_token_is_replaced(machine: Machine, server: Server) -> None:
    sfcred.token()
    server.wants_another_than(sfcred.token().value)
    machine.script(f'sleep 0.5; exec {machine.programs}/sfcred "$@"')

    async def main() -> int:
        ticks = 0
        async with httpx.AsyncClient(auth=sfcred.Auth()) as client:
            waiting = asyncio.ensure_future(client.get(server.url))
            while not waiting.done():
                await asyncio.sleep(0.01)
                ticks += 1
        assert waiting.result().status_code == 200
        return ticks

    assert asyncio.run(main()) > 10


def statuses(url: str, count: int, transport: Any = None) -> List[int]:
    """Of tasks that all ask at once."""

    async def main() -> List[int]:
        async with httpx.AsyncClient(
            auth=sfcred.Auth(), transport=transport, timeout=300
        ) as client:
            answers = await asyncio.gather(*(client.get(url) for _ in range(count)))
        return [answer.status_code for answer in answers]

    return asyncio.run(main())


def test_1000_tasks(machine: Machine) -> None:
    """Without the network: a pool of httpx takes its time with a thousand."""
    first: List[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        token = request.headers["Authorization"]
        first[:] = first or [token]
        return httpx.Response(401 if token == first[0] else 200)

    assert statuses("http://127.0.0.1/", 1000, httpx.MockTransport(answer)) == [200] * 1000
    assert len(machine.runs()) == 2


def test_tasks_whose_token_is_rejected_together(machine: Machine, server: Server) -> None:
    server.wants_another_than(sfcred.token().value)
    assert statuses(server.url, 100) == [200] * 100
    assert len(machine.runs()) == 2


def test_64_threads(machine: Machine, server: Server) -> None:
    auth = sfcred.Auth()
    start = threading.Barrier(64)

    def get(_: int) -> int:
        with httpx.Client(auth=auth, timeout=60, verify=False) as client:
            start.wait()
            return client.get(server.url).status_code

    with ThreadPoolExecutor(64) as pool:
        assert list(pool.map(get, range(64))) == [200] * 64
    assert len(set(server.tokens())) == 1 and len(machine.runs()) == 1


@pytest.mark.parametrize(
    "body, sent",
    [
        (lambda: {"content": b"body"}, 2),
        (lambda: {"data": {"a": "b"}}, 2),
        (lambda: {"json": {"a": "b"}}, 2),
        (lambda: {"files": {"f": b"body"}}, 2),
        (lambda: {"files": {"f": io.BytesIO(b"body")}}, 2),
        (lambda: {"files": {"f": Unseekable(b"body")}}, 1),
    ],
    ids=["bytes", "form", "json", "part", "file part", "pipe part"],
)
def test_the_body_goes_along_if_it_can(
    machine: Machine, server: Server, send: Send, body: Any, sent: int
) -> None:
    server.answers(UNAUTHORIZED, OK)
    answer = send("POST", server.url, **body())
    assert answer.status_code == (200 if sent == 2 else 401)
    bodies = [request.body for request in server.requests]
    assert len(bodies) == sent and len(set(bodies)) == 1 and bodies[0]


@pytest.mark.parametrize(
    "body, sent",
    [
        (lambda: io.BytesIO(b"body"), 2),
        (lambda: iter([b"bo", b"dy"]), 1),
        (lambda: (part for part in [b"bo", b"dy"]), 1),
        (lambda: Unseekable(b"body"), 1),
    ],
    ids=["file", "iterator", "generator", "pipe"],
)
def test_a_streamed_body_goes_along_if_it_can(
    machine: Machine, server: Server, body: Any, sent: int
) -> None:
    server.answers(UNAUTHORIZED, OK)
    answer = by_client("POST", server.url, content=body())
    assert answer.status_code == (200 if sent == 2 else 401)
    assert [request.body for request in server.requests] == [b"body"] * sent


def test_an_asynchronous_generator_does_not(machine: Machine, server: Server) -> None:
    async def body() -> Any:
        yield b"body"

    server.answers(UNAUTHORIZED, OK)

    async def main() -> int:
        async with httpx.AsyncClient(auth=sfcred.Auth()) as client:
            return (await client.post(server.url, content=body())).status_code

    assert asyncio.run(main()) == 401
    assert [request.body for request in server.requests] == [b"body"]


def test_streaming(machine: Machine, server: Server) -> None:
    server.answers(UNAUTHORIZED, OK)
    with httpx.stream("GET", server.url, auth=sfcred.Auth()) as answer:
        assert b"".join(answer.iter_raw()) == b"ok"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(
    machine: Machine, server: Server, other: Server, send: Send, status: int
) -> None:
    server.answers(redirect("/there", status), OK)
    assert send("GET", server.url).status_code == 200
    with Server() as neighbour:
        for target in (other, neighbour):
            server.answers(redirect(target.url, status))
            assert send("GET", server.url).status_code == 200
            assert target.tokens() == [None]
    assert server.tokens() == [bearer()] * 4


def test_a_401_after_a_redirect_elsewhere_gets_no_token(
    machine: Machine, server: Server, other: Server, send: Send
) -> None:
    server.answers(redirect(other.url))
    other.answers(UNAUTHORIZED)
    assert send("GET", server.url).status_code == 401
    assert other.tokens() == [None] and len(machine.runs()) == 1


def test_a_401_after_a_redirect_to_the_same_origin(
    machine: Machine, server: Server, send: Send
) -> None:
    first = bearer()
    server.answers(redirect("/there"), UNAUTHORIZED, redirect("/there"), OK)
    assert send("GET", server.url).status_code == 200
    assert server.tokens() == [first, first, bearer(), bearer()] and first != bearer()


def test_netrc_has_no_say(machine: Machine, server: Server, send: Send, tmp_path: Path) -> None:
    netrc = tmp_path / "home/.netrc"
    netrc.write_text("default login netrc password netrc\n")
    netrc.chmod(0o600)
    server.answers(redirect("/there"), OK)
    assert send("GET", server.url).status_code == 200
    assert server.tokens() == [bearer()] * 2


def test_neither_asyncio_nor_trio(machine: Machine) -> None:
    """Nobody else could wake the task."""
    waiting: Any = sfcred.headers("http://127.0.0.1/")
    with pytest.raises(RuntimeError, match="no running event loop"):
        waiting.send(None)
