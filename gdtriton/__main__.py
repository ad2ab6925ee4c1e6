"""`python -m gdtriton` is the command `gdtriton`."""

import sys

from .cli import main

sys.exit(main())
