"""`python -m presence_async` hands over to the command line."""

import sys

from presence_async.cli import main

if __name__ == "__main__":
    sys.exit(main())
