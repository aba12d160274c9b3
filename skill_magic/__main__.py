"""``python -m skill_magic`` is the ``skill`` command, for systems where another program has that name."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
