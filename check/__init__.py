"""Looks at a pipeline before the breaker is attached to it: ``make check FUNCTION=... QUEUE=...``.

Reads with the credentials of whoever runs it, and changes nothing. The rules are those of registration, in
`breaker.findings`; `options` reads the command line, `report` writes what was found.
"""

import sys
from pathlib import Path

# The deployment package is functions/, so its modules are imported as they are on Lambda.
_FUNCTIONS = str(Path(__file__).resolve().parent.parent / "functions")
if _FUNCTIONS not in sys.path:
    sys.path.insert(0, _FUNCTIONS)
