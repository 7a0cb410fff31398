"""Tests run the sources, whatever has been compiled here, unless they are told otherwise.

No test fails because the machine is slow: hypothesis sets no deadlines.
"""

import os

from hypothesis import settings

os.environ.setdefault("SELLOFF_COMPILED", "0")

settings.register_profile("no-deadlines", deadline=None)
settings.load_profile("no-deadlines")
