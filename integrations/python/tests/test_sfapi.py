"""sfcred.sfapi: with the official client where it is installed, or else with the
stand-in of the parts that are leaned on."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, Iterator

import httpx
import pytest

import sfcred
from conftest import Demo, Machine
from servers import OK, UNAUTHORIZED, Server

STANDIN = Path(__file__).resolve().parent / "standin"
IS_OFFICIAL = importlib.util.find_spec("sfapi_client") is not None


@pytest.fixture
def sfapi(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """sfcred.sfapi, newly loaded."""
    if not IS_OFFICIAL:
        monkeypatch.syspath_prepend(str(STANDIN))
    forget()
    yield sfcred.sfapi
    forget()


def forget() -> None:
    for name in ("sfcred.sfapi", "sfapi_client"):
        sys.modules.pop(name, None)
    vars(sfcred).pop("sfapi", None)


def test_account(machine: Machine, demo: Demo, sfapi: Any) -> None:
    with sfapi.Client(api_base_url=demo.api, wait_interval=1) as client:
        assert client.get("account/").json()["name"] == "ada"
        assert client.token == sfcred.token().value
        assert client._wait_interval == 1
    assert len(machine.runs()) == 1


def test_account_async(machine: Machine, demo: Demo, sfapi: Any) -> None:
    async def main() -> None:
        async with sfapi.AsyncClient(api_base_url=demo.api) as client:
            assert (await client.get("account/")).json()["name"] == "ada"
            assert await client.token == sfcred.token().value

    asyncio.run(main())


def test_its_methods_find_credentials(machine: Machine, demo: Demo, sfapi: Any) -> None:
    with sfapi.Client(api_base_url=demo.api) as client:
        user = client.user()
        assert (user["name"] if isinstance(user, dict) else user.name) == "ada"
        assert client.compute("perlmutter").run("hostname")

    async def main() -> None:
        async with sfapi.AsyncClient(api_base_url=demo.api) as client:
            assert await client.user()
            assert await (await client.compute("perlmutter")).run("hostname")

    asyncio.run(main())


def test_it_outlives_its_tokens(machine: Machine, server: Server, sfapi: Any) -> None:
    """With the official one a token that has run out is the end."""
    with sfapi.Client(api_base_url=server.url) as client:
        for _ in range(3):
            server.wants_another_than(sfcred.token().value)
            assert client.get("account/").status_code == 200

    async def main() -> None:
        async with sfapi.AsyncClient(api_base_url=server.url) as client:
            for _ in range(3):
                server.wants_another_than(sfcred.token().value)
                assert (await client.get("account/")).status_code == 200

    asyncio.run(main())


def test_uploads(machine: Machine, server: Server, sfapi: Any) -> None:
    server.answers(UNAUTHORIZED, OK)
    with sfapi.Client(api_base_url=server.url) as client:
        client.put("utilities/upload/x", files={"file": b"data"})
    first, second = (request.body for request in server.requests)
    assert first == second and b"data" in first


def test_retries_stay(machine: Machine, server: Server, sfapi: Any) -> None:
    server.answers((503, {}, b""), OK)
    with sfapi.Client(api_base_url=server.url) as client:
        assert client.get("account/").status_code == 200


def test_another_host(machine: Machine, other: Server, sfapi: Any) -> None:
    with sfapi.Client(api_base_url=other.url) as client:
        with pytest.raises(sfcred.HostNotAllowed):
            client.get("account/")
    assert other.requests == []


def test_the_default_is_the_official_api(machine: Machine, sfapi: Any) -> None:
    with sfapi.Client() as client:
        with pytest.raises(sfcred.HostNotAllowed, match="https://api.nersc.gov: .*127.0.0.1"):
            client.get("account/")


def test_close_before_and_after(machine: Machine, demo: Demo, sfapi: Any) -> None:
    client = sfapi.Client(api_base_url=demo.api)
    client.close()
    client.get("status/perlmutter")
    http = client._http_client()
    client.close()
    assert http.is_closed

    async def main() -> None:
        client = sfapi.AsyncClient(api_base_url=demo.api)
        await client.close()
        await client.get("status/perlmutter")
        http = await client._http_client()
        await client.close()
        assert http.is_closed

    asyncio.run(main())


@pytest.mark.parametrize("name", ["client_id", "secret", "key", "access_token", "token_url"])
def test_a_key_is_not_wanted(sfapi: Any, name: str) -> None:
    for client in (sfapi.Client, sfapi.AsyncClient):
        with pytest.raises(TypeError, match=f"{name} is not wanted"):
            client(**{name: "x"})
        with pytest.raises(TypeError, match="unexpected"):
            client(colour="red")
        with pytest.raises(ValueError, match="min_ttl"):
            client(min_ttl=-1)


def test_without_the_official_client(monkeypatch: pytest.MonkeyPatch) -> None:
    forget()
    modules: Dict[str, Any] = sys.modules
    monkeypatch.setitem(modules, "sfapi_client", None)
    with pytest.raises(ImportError, match="sfapi_client"):
        importlib.import_module("sfcred.sfapi")
    with pytest.raises(ImportError, match="sfapi_client"):
        from sfcred import sfapi
    with pytest.raises(AttributeError, match="sfcred.sfapi needs the package sfapi_client"):
        sfcred.sfapi
    assert not hasattr(sfcred, "sfapi")  # and does not raise
    with pytest.raises(AttributeError, match="no attribute 'sfapis'"):
        getattr(sfcred, "sfapis")


def renamed(client: Any) -> None:
    client._session = client._http_client
    del client._http_client


def not_used(client: Any) -> None:
    client.get = lambda self, url: None


def other_kind(client: Any) -> None:
    is_async = asyncio.iscoroutinefunction(client._http_client)

    async def asynchronous(self: Any) -> None:
        pass

    client._http_client = (lambda self: None) if is_async else asynchronous


def no_id(client: Any) -> None:
    client.__init__ = lambda self, api_base_url=None: None


def no_url(client: Any) -> None:
    client.__init__ = lambda self, base_url=None: setattr(self, "_client_id", None)


def needs_key(client: Any) -> None:
    def init(self: Any, key: Any, api_base_url: Any = None) -> None:
        self._client_id = None

    client.__init__ = init


def no_token(client: Any) -> None:
    client.token = "x"


def no_close(client: Any) -> None:
    client.close = None


@pytest.mark.parametrize("name", ["Client", "AsyncClient"])
@pytest.mark.parametrize(
    "change",
    [renamed, not_used, other_kind, no_id, no_url, needs_key, no_token, no_close],
)
def test_a_changed_upstream_fails_on_import(sfapi: Any, name: str, change: Any) -> None:
    upstream: ModuleType = importlib.import_module("sfapi_client")
    changed = type(name, (), dict(vars(getattr(upstream, name))))
    setattr(upstream, name, changed)
    change(changed)
    sys.modules.pop("sfcred.sfapi")
    vars(sfcred).pop("sfapi", None)
    with pytest.raises(ImportError, match=f"does not fit the sfapi_client .*{name}: it"):
        importlib.import_module("sfcred.sfapi")


def test_an_upstream_without_clients(sfapi: Any) -> None:
    del importlib.import_module("sfapi_client").AsyncClient
    sys.modules.pop("sfcred.sfapi")
    with pytest.raises(ImportError, match="AsyncClient: it is not there"):
        importlib.import_module("sfcred.sfapi")
