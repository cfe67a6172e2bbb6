"""The service behind the example's consumer: takes orders by HTTP and keeps them in SQLite.

Run as a program it is that service, until it is told to stop: then it answers what it has begun, and nobody listens any
more. `OrderService` starts and stops it.
"""

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lab.emulator import free_port


class OrderService:
    """The service as a process that can be stopped and started. Its orders outlive it."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers, while it runs."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", __name__, str(self.port), str(self.database)]
        self._process = subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2])
        deadline = time.monotonic() + 20
        while not self.answers():
            assert self._process.poll() is None, "the service ended at once"
            assert time.monotonic() < deadline, "the service does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """End it. Safe to call twice."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def answers(self) -> bool:
        """Whether somebody listens."""
        try:
            with urllib.request.urlopen(self.url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def calls(self) -> Counter[str]:
        """How often each order was placed."""
        connection = sqlite3.connect(self.database)
        try:
            return Counter(dict(connection.execute("SELECT order_id, COUNT(*) FROM calls GROUP BY order_id")))
        finally:
            connection.close()


def serve(port: int, database: str) -> None:
    """Take orders until SIGTERM."""
    lock = threading.Lock()
    connection = sqlite3.connect(database, check_same_thread=False)
    connection.execute("CREATE TABLE IF NOT EXISTS calls (order_id TEXT NOT NULL, idempotency_key TEXT NOT NULL)")

    class Orders(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock, connection:
                connection.execute(
                    "INSERT INTO calls VALUES (?, ?)", (order["order_id"], self.headers["Idempotency-Key"])
                )
            self._answer({"placed": order["order_id"]})

        def _answer(self, body: dict[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        # Closing waits for calls that have begun: their orders are in the database, so they are answered.
        daemon_threads = False

    server = Server(("127.0.0.1", port), Orders)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    connection.close()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
