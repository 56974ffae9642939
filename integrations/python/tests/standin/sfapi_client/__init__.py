"""A stand-in for sfapi_client, for tests where the official one cannot be had.

It has, in words of its own, what sfcred.sfapi leans on, as sfapi_client 0.6 has
it (https://github.com/NERSC/sfapi_client, src/sfapi_client/_async): how a client
is made, that each call takes its httpx client from _http_client(),
retries and raises, and by what its methods tell whether there are credentials.
The key's side is left out: a client with a key refuses to work.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, Optional

import httpx

SFAPI_BASE_URL = "https://api.nersc.gov/api/v1.2"
SFAPI_TOKEN_URL = "https://oidc.nersc.gov/c2id/token"


class SfApiError(Exception):
    pass


_RETRIED = (429, 502, 503, 504)


def _passes(problem: Exception) -> bool:
    if isinstance(problem, httpx.HTTPStatusError):
        return problem.response.status_code in _RETRIED
    return isinstance(problem, (httpx.TimeoutException, httpx.ConnectError))


def _retried(method: Callable[..., Any]) -> Callable[..., Any]:
    """As tenacity's decorator: the method is reached by __wrapped__."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        for _ in range(9):
            try:
                return method(*args, **kwargs)
            except Exception as problem:
                if not _passes(problem):
                    raise
        return method(*args, **kwargs)

    return call


def _retried_async(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        for _ in range(9):
            try:
                return await method(*args, **kwargs)
            except Exception as problem:
                if not _passes(problem):
                    raise
        return await method(*args, **kwargs)

    return call


def _no_credentials(owner: object, name: str) -> SfApiError:
    return SfApiError(
        f"Cannot call {type(owner).__name__}.{name}() with an unauthenticated client."
    )


class Client:
    def __init__(
        self,
        client_id: Optional[str] = None,
        secret: Optional[str] = None,
        key: Optional[str] = None,
        api_base_url: Optional[str] = SFAPI_BASE_URL,
        token_url: Optional[str] = SFAPI_TOKEN_URL,
        access_token: Optional[str] = None,
        wait_interval: int = 10,
    ) -> None:
        if key is not None or secret is not None:
            raise NotImplementedError("the stand-in has no use for a key")
        self._client_id = client_id
        self._secret = secret
        self._api_base_url = api_base_url
        self._token_url = token_url
        self._client_user = None
        self.__http_client: Optional[httpx.Client] = None
        self._wait_interval = wait_interval
        self._access_token = access_token

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _http_client(self) -> httpx.Client:
        if self._client_id is not None:
            raise NotImplementedError("the stand-in has no use for a key")
        if self.__http_client is None:
            headers = {"accept": "application/json"}
            if self._access_token is not None:
                headers["Authorization"] = f"Bearer {self._access_token}"
            self.__http_client = httpx.Client(headers=headers)
        return self.__http_client

    @property
    def token(self) -> Optional[str]:
        return self._access_token

    def close(self) -> None:
        if self.__http_client is not None:
            self.__http_client.close()

    @_retried
    def get(self, url: str, params: Dict[str, Any] = {}) -> httpx.Response:
        answer = self._http_client().get(f"{self._api_base_url}/{url}", params=params)
        answer.raise_for_status()
        return answer

    @_retried
    def post(self, url: str, data: Dict[str, Any]) -> httpx.Response:
        answer = self._http_client().post(f"{self._api_base_url}/{url}", data=data)
        answer.raise_for_status()
        return answer

    @_retried
    def put(self, url: str, data: Any = None, files: Any = None) -> httpx.Response:
        answer = self._http_client().put(f"{self._api_base_url}/{url}", data=data, files=files)
        answer.raise_for_status()
        return answer

    @_retried
    def delete(self, url: str) -> httpx.Response:
        answer = self._http_client().delete(f"{self._api_base_url}/{url}")
        answer.raise_for_status()
        return answer

    def user(self) -> Any:
        if self._client_id is None:
            raise _no_credentials(self, "user")
        return self.get("account/").json()

    def compute(self, machine: str) -> "Compute":
        return Compute(self, self.get(f"status/{machine}").json())


class Compute:
    def __init__(self, client: Client, status: Dict[str, Any]) -> None:
        self.client = client
        self.name = status["name"]

    def run(self, executable: str) -> str:
        if self.client._client_id is None and self.client._access_token is None:
            raise _no_credentials(self, "run")
        answer = self.client.post(f"utilities/command/{self.name}", data={"executable": executable})
        return str(self.client.get(f"tasks/{answer.json()['task_id']}").json()["status"])


class AsyncClient:
    def __init__(
        self,
        client_id: Optional[str] = None,
        secret: Optional[str] = None,
        key: Optional[str] = None,
        api_base_url: Optional[str] = SFAPI_BASE_URL,
        token_url: Optional[str] = SFAPI_TOKEN_URL,
        access_token: Optional[str] = None,
        wait_interval: int = 10,
    ) -> None:
        if key is not None or secret is not None:
            raise NotImplementedError("the stand-in has no use for a key")
        self._client_id = client_id
        self._secret = secret
        self._api_base_url = api_base_url
        self._token_url = token_url
        self._client_user = None
        self.__http_client: Optional[httpx.AsyncClient] = None
        self._wait_interval = wait_interval
        self._access_token = access_token

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _http_client(self) -> httpx.AsyncClient:
        if self._client_id is not None:
            raise NotImplementedError("the stand-in has no use for a key")
        if self.__http_client is None:
            headers = {"accept": "application/json"}
            if self._access_token is not None:
                headers["Authorization"] = f"Bearer {self._access_token}"
            self.__http_client = httpx.AsyncClient(headers=headers)
        return self.__http_client

    @property
    async def token(self) -> Optional[str]:
        return self._access_token

    async def close(self) -> None:
        if self.__http_client is not None:
            await self.__http_client.aclose()

    @_retried_async
    async def get(self, url: str, params: Dict[str, Any] = {}) -> httpx.Response:
        client = await self._http_client()
        answer = await client.get(f"{self._api_base_url}/{url}", params=params)
        answer.raise_for_status()
        return answer

    @_retried_async
    async def post(self, url: str, data: Dict[str, Any]) -> httpx.Response:
        client = await self._http_client()
        answer = await client.post(f"{self._api_base_url}/{url}", data=data)
        answer.raise_for_status()
        return answer

    async def user(self) -> Any:
        if self._client_id is None:
            raise _no_credentials(self, "user")
        return (await self.get("account/")).json()

    async def compute(self, machine: str) -> "AsyncCompute":
        return AsyncCompute(self, (await self.get(f"status/{machine}")).json())


class AsyncCompute:
    def __init__(self, client: AsyncClient, status: Dict[str, Any]) -> None:
        self.client = client
        self.name = status["name"]

    async def run(self, executable: str) -> str:
        if self.client._client_id is None and self.client._access_token is None:
            raise _no_credentials(self, "run")
        data = {"executable": executable}
        answer = await self.client.post(f"utilities/command/{self.name}", data=data)
        task = await self.client.get(f"tasks/{answer.json()['task_id']}")
        return str(task.json()["status"])
