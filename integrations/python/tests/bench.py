"""Prints what Auth costs a warm request, beside a header that is always the same.

    python3 tests/bench.py

Needs requests and httpx, and no server: the requests end where they would be
sent. A profile that sfcred gives tokens for is needed neither.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import httpx
import requests
from requests.adapters import BaseAdapter

import sfcred

URL = "https://api.nersc.gov/api/v1.2/account/"
HEADER = {"Authorization": "Bearer abc.def.ghi"}


class Nowhere(BaseAdapter):
    """Answers each request with an empty 200."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        answer = requests.Response()
        answer.status_code = 200
        answer.request = request
        answer.url = request.url or ""
        answer.raw = None
        answer._content = b""
        return answer

    def close(self) -> None:
        pass


def install_a_program_that_answers(folder: Path) -> None:
    answer = {
        "access_token": "abc.def.ghi",
        "expires_at": "2999-01-01T00:00:00Z",
        "profile": "nersc",
        "hosts": ["api.nersc.gov", "api.iri.nersc.gov"],
    }
    program = folder / "sfcred"
    program.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    program.chmod(0o755)
    os.environ["PATH"] = os.pathsep.join([str(folder), os.environ["PATH"]])


def best(*calls: Callable[[], object], rounds: int = 40, count: int = 200) -> List[float]:
    """Microseconds of processor time for one of each call, in the rounds that were
    disturbed least. They take turns, so that all meet the same machine."""
    least = [float("inf")] * len(calls)
    for _ in range(rounds):
        for i, call in enumerate(calls):
            began = time.thread_time()
            for _ in range(count):
                call()
            least[i] = min(least[i], time.thread_time() - began)
    return [seconds / count * 1e6 for seconds in least]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        install_a_program_that_answers(Path(folder))
        auth = sfcred.Auth()
        session = requests.Session()
        session.trust_env = False  # or a fixed header would cost a look at ~/.netrc
        session.mount("https://", Nowhere())
        client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200)))
        pairs: Dict[str, Any] = {
            "requests": (
                lambda: session.get(URL, headers=HEADER),
                lambda: session.get(URL, auth=auth),
            ),
            "httpx": (
                lambda: client.get(URL, headers=HEADER),
                lambda: client.get(URL, auth=auth),
            ),
        }
        for name, (fixed, authorized) in pairs.items():
            before, after = best(fixed, authorized)
            print(
                f"{name}: a fixed header {before:.1f} µs, Auth {after:.1f} µs:"
                f" {after - before:+.1f} µs a request"
            )
        print(f"a warm sfcred.token(): {best(sfcred.token)[0]:.1f} µs")


if __name__ == "__main__":
    main()
