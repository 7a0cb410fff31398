"""Which account modes the clearing side margins by their own rules.

An account in another mode is refused where a person asks for it (a book, a twin), so that no run
shows portfolio margin under another name.
"""

from __future__ import annotations

from typing import Final

SIMULATED_MODES: Final = ("portfolio",)
