"""Run the check."""

import sys

from publish.command import main

if __name__ == "__main__":
    sys.exit(main())
