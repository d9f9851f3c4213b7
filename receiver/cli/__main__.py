"""`python -m receiver.cli`."""

import sys

from receiver.cli import main

sys.exit(main())
