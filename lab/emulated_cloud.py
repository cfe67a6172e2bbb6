"""ministack, with the one thing added that an error-rate alarm cannot do without.

ministack publishes the ``AWS/Lambda`` metrics for calls of the Invoke API alone. AWS publishes them for every
invocation, whoever asked for it, and most of a queue consumer's invocations come from its event source mapping. So
this wraps the function that runs a mapping's batch and publishes them there, unless ministack has done so itself.

Run as a program, by the lab. It leaves everything else as it is.
"""

from __future__ import annotations

import sys
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

_WRAPPED = ("_run_sqs_batch", "_execute_function", "_emit_lambda_metrics")


@dataclass
class _Batch:
    """What happened while a mapping's batch was run."""

    result: dict[str, Any] | None = None
    published: bool = False


_current: ContextVar[_Batch | None] = ContextVar("lab_batch", default=None)


def publish_metrics_of_mappings(service: Any) -> None:
    """Have ministack's Lambda service publish metrics for batches of mappings too."""
    missing = [name for name in _WRAPPED if not callable(getattr(service, name, None))]
    if missing:
        sys.exit(f"this version of ministack has no {', '.join(missing)}: lab/emulated_cloud.py does not fit it")
    run_batch, execute, publish = (getattr(service, name) for name in _WRAPPED)

    def run_batch_and_publish(mapping: Any, function: Any, *rest: Any) -> None:
        batch = _Batch()
        token = _current.set(batch)
        began = time.time()
        try:
            run_batch(mapping, function, *rest)
        finally:
            _current.reset(token)
            if batch.result is not None and not batch.published:
                name = mapping["FunctionName"].rsplit(":", 1)[-1]
                publish(
                    (function.get("config") or function).get("FunctionName", name),
                    duration_ms=(time.time() - began) * 1000,
                    error=bool(batch.result.get("error")),
                    throttle=bool(batch.result.get("throttle")),
                )

    def execute_and_note(function: Any, event: Any) -> Any:
        result = execute(function, event)
        batch = _current.get()
        if batch is not None and isinstance(result, dict):
            batch.result = result
        return result

    def publish_and_note(*args: Any, **kwargs: Any) -> None:
        batch = _current.get()
        if batch is not None:
            batch.published = True
        publish(*args, **kwargs)

    service._run_sqs_batch = run_batch_and_publish
    service._execute_function = execute_and_note
    service._emit_lambda_metrics = publish_and_note


if __name__ == "__main__":
    from ministack.app import main
    from ministack.services import lambda_svc

    publish_metrics_of_mappings(lambda_svc)
    main()
