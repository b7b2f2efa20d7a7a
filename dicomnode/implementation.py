"""How this software names itself, the same on the network and in every file that it writes (PS3.7 D.3.3.2)."""

from __future__ import annotations

IMPLEMENTATION_CLASS_UID = "2.25.64021424802161161414897349263597406372"  # derived from a UUID (PS3.5 B.2)
IMPLEMENTATION_VERSION_NAME = "DICOMNODE_0_1"
