"""Servers that do what a test says, and note what they were sent."""

from __future__ import annotations

import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple


class Request(NamedTuple):
    """What a server was sent."""

    method: str
    path: str
    token: Optional[str]  # the whole Authorization header
    body: bytes


#: An answer: status, headers, body.
Answer = Tuple[int, Dict[str, str], bytes]

OK: Answer = (200, {}, b"ok")
UNAUTHORIZED: Answer = (401, {"WWW-Authenticate": "Bearer"}, b"who are you?")


def redirect(url: str, status: int = 307) -> Answer:
    return status, {"Location": url}, b"elsewhere"


class Server:
    """An http server whose answers come from `answer`, a function of the request."""

    def __init__(self, name: str = "127.0.0.1") -> None:
        self.requests: List[Request] = []
        self.answer: Callable[[Request], Answer] = lambda request: OK
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                request = Request(
                    self.command, self.path, self.headers.get("Authorization"), self.read_body()
                )
                outer.requests.append(request)
                status, headers, body = outer.answer(request)
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

            def read_body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = b""
                while True:
                    size = int(self.rfile.readline(), 16)
                    body += self.rfile.read(size)
                    self.rfile.readline()
                    if size == 0:
                        return body

            def log_message(self, *args: Any) -> None:
                pass

        class Many(ThreadingHTTPServer):
            request_queue_size = 1024
            daemon_threads = True

        self._http = Many(("127.0.0.1", 0), Handler)
        self.url = f"http://{name}:{self._http.server_address[1]}"
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.01,), daemon=True
        )

    def answers(self, *answers: Answer) -> None:
        """Gives these answers, one after the other, and the last for ever."""
        left = list(answers)
        self.answer = lambda request: left.pop(0) if len(left) > 1 else left[0]

    def tokens(self) -> List[Optional[str]]:
        return [request.token for request in self.requests]

    def wants_another_than(self, first: str) -> None:
        """Accepts any token but that one."""
        self.answer = lambda request: (
            UNAUTHORIZED if request.token in (None, f"Bearer {first}") else OK
        )

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()


def forwards_to(server: Server, url: str) -> None:
    """Makes a server hand all that it is sent on, as a proxy in front of url."""

    def forward(request: Request) -> Answer:
        onward = urllib.request.Request(
            url,
            data=request.body or None,
            method=request.method,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        with urllib.request.urlopen(onward) as response:
            return response.status, {"Content-Type": "application/json"}, response.read()

    server.answer = forward
