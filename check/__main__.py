"""Run the check."""

import sys

from check.command import main

if __name__ == "__main__":
    sys.exit(main())
