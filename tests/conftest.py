"""Tests run the sources, whatever has been compiled here, unless they are told otherwise."""

import os

os.environ.setdefault("SELLOFF_COMPILED", "0")
