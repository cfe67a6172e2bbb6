"""A server that gives recorded answers again."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.own_cost.recording import Answer, key_of


class Replay:
    """Answers each request as it was answered when recorded; the last answer to a request is given again.

    Attributes
    ----------
    url
        Where it listens.
    asked
        How many requests it was asked.
    unknown
        Requests that were not recorded.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked = 0
        self.unknown: list[str] = []
        self._answers: dict[str, list[Answer]] = {}
        self._lock = threading.Lock()

    def load(self, answers: list[Answer]) -> None:
        """Give these answers from now on."""
        with self._lock:
            self.asked, self.unknown, self._answers = 0, [], {}
            for answer in answers:
                self._answers.setdefault(answer.key, []).append(answer)

    def answer_to(self, key: str) -> Answer:
        """Return the next answer to a request."""
        with self._lock:
            self.asked += 1
            answers = self._answers.get(key)
            if not answers:
                self.unknown.append(key)
                return Answer(key, 400, {}, b'{"__type": "NotRecorded"}')
            return answers.pop(0) if len(answers) > 1 else answers[0]


@contextmanager
def replaying() -> Iterator[Replay]:
    """Yield a server that runs meanwhile."""
    replay = Replay()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path == "/cloudformation":
                answer = Answer("", 200, {}, b"")
            else:
                answer = replay.answer_to(key_of(self.command, self.path, self.headers, body))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Be quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of a client that has ended: each process keeps its connections to the end."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    replay.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield replay
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
