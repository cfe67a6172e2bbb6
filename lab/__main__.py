"""``python -m lab``."""

import signal
import sys

if __name__ == "__main__":
    # Until the first process is started there is nothing to tidy up: Ctrl-C may end the imports without a word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from lab.cli import main

    sys.exit(main())
