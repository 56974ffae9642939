"""A program of a user, for the type checker: what it calls has types that fit
those of the libraries."""

from __future__ import annotations

from datetime import datetime
from typing import Dict, Optional

import aiohttp
import httpx
import requests

import sfcred

URL = "https://api.nersc.gov/api/v1.2/account/"


def by_requests() -> int:
    with requests.Session() as session:
        session.auth = sfcred.Auth()
    with sfcred.session("lab", min_ttl=90) as session:
        return session.get(URL).status_code + requests.get(URL, auth=sfcred.Auth()).status_code


async def by_httpx() -> int:
    with httpx.Client(auth=sfcred.Auth("lab", min_ttl=30.5)) as client:
        client.get(URL)
    async with httpx.AsyncClient(auth=sfcred.Auth()) as asynchronous:
        return (await asynchronous.get(URL)).status_code


async def by_aiohttp() -> int:
    headers: Dict[str, str] = await sfcred.headers(URL)
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(URL) as answer:
            return answer.status


def by_hand() -> Optional[datetime]:
    try:
        token: sfcred.Token = sfcred.token()
    except sfcred.ClientRefused as refused:
        print(refused.hints[0], refused.exit_code + 1)
        raise
    print(token.check(URL).host.upper(), token.value.upper(), token.hosts[0])
    return token.expires_at


def by_sfapi() -> str:
    with sfcred.sfapi.Client(min_ttl=60, api_base_url=URL) as client:
        value: str = client.token
    return value
