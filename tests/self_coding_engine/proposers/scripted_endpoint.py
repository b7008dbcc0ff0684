"""An OpenAI-compatible server on this machine that answers what a test told it to."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Answer:
    """What to answer one request with.

    Attributes
    ----------
    holds
        Answer nothing until the test is over.
    drips
        Send a byte now and then, without end.
    """

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    holds: bool = False
    drips: bool = False


def says(
    text: object,
    *,
    finish: str = "stop",
    refusal: str | None = None,
    usage: object = (100, 20),
    model: str = "scripted-1",
) -> Answer:
    """Answer as the protocol has it."""
    document: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": model,
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text, "refusal": refusal},
            }
        ],
    }
    if isinstance(usage, tuple):
        document["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return Answer(json.dumps(document).encode())


def fails(status: int, message: str, *, code: str | None = None, **headers: str) -> Answer:
    """Answer with an error as the protocol has it."""
    body = json.dumps({"error": {"message": message, "code": code, "type": "error"}}).encode()
    return Answer(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


class ScriptedEndpoint:
    """Listens on a free port of 127.0.0.1; answers in the order given, the last one for ever."""

    def __init__(self, answers: Sequence[Answer | Callable[[dict[str, Any]], Answer]]) -> None:
        self.answers = list(answers)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def base_url(self) -> str:
        """The address up to and with ``/v1``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _next(self, request: dict[str, Any]) -> Answer:
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        return answer if isinstance(answer, Answer) else answer(request)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                size = int(self.headers["content-length"])
                request = json.loads(self.rfile.read(size))
                endpoint.requests.append(request)
                endpoint.headers.append({k.lower(): v for k, v in self.headers.items()})
                endpoint.paths.append(self.path)
                answer = endpoint._next(request)
                if answer.holds:
                    endpoint._over.wait()
                    self.close_connection = True
                    return
                self.send_response_only(answer.status)
                self.send_header("content-type", "application/json")
                length = 10_000_000 if answer.drips else len(answer.body)
                self.send_header("content-length", str(length))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self._send_body(answer)
                except OSError:
                    self.close_connection = True  # the client has heard enough

            def _send_body(self, answer: Answer) -> None:
                if not answer.drips:
                    self.wfile.write(answer.body)
                    return
                self.close_connection = True
                while not endpoint._over.wait(0.02):
                    self.wfile.write(b" ")
                    self.wfile.flush()

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        return Handler
