"""Run by a fresh interpreter: import a handler, invoke it once, print what that took as the last line.

    python -S fresh_start.py <module> <file with the pickled event and time>

Not counted: the interpreter's own start and the reading of the event.
"""

import json
import pickle
import sys
import time

MODULE, EVENT = sys.argv[1:]


class Context:
    """What Lambda tells a handler about its invocation."""

    function_name = "step"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:step"
    aws_request_id = "9f4b0b1e-0000-4000-8000-000000000001"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left."""
        return 840_000


with open(EVENT, "rb") as file:  # noqa: PTH123 - pathlib is one of the imports that are timed
    event, now = pickle.load(file)  # noqa: S301 - written by the benchmark itself
# The answers are of that time, and a handler compares them with its clock.
time.time = lambda: now
began = time.process_time(), time.perf_counter()
handler = __import__(MODULE).handler
imported = time.process_time(), time.perf_counter()
handler(event, Context())
ended = time.process_time(), time.perf_counter()
print(
    json.dumps(
        {
            "import_cpu": imported[0] - began[0],
            "cpu": ended[0] - began[0],
            "wall": ended[1] - began[1],
        }
    )
)
