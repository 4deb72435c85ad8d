"""`python -m presence_async` hands over to the command line."""

import signal
import sys


def main() -> int:
    """Load the command line and run it.

    Returns:
        The exit code.
    """
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        # There is nothing to put in order yet, and loading takes a moment: no traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from presence_async.cli import main as run  # noqa: PLC0415  # this is what takes the moment

    signal.signal(signal.SIGINT, handler)
    return run()


if __name__ == "__main__":
    sys.exit(main())
