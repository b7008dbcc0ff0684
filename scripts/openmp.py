"""Make sure that libgomp.so.1 can be loaded; make it from scikit-learn's bundled copy if it cannot.

The bundled file is the same library under a name with a hash in it. The name stands in the file
twice at most, in its dynamic string table, and the original one is shorter, so that it fits.
"""

from __future__ import annotations

import ctypes
import re
import sys
import sysconfig
from pathlib import Path

NAME = "libgomp.so.1"


def loadable(name: str) -> bool:
    """Whether the dynamic linker finds and accepts the library."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def main() -> int:
    """Return 0 if the library is there, or was made."""
    target = Path(sys.prefix) / "lib" / NAME
    if loadable(NAME) or loadable(str(target)):
        return 0
    libraries = Path(sysconfig.get_path("platlib")) / "scikit_learn.libs"
    for bundled in sorted(libraries.glob("libgomp-*.so*")):
        content = bundled.read_bytes()
        content = re.sub(
            re.escape(bundled.name.encode()) + b"\0",
            lambda found: NAME.encode().ljust(len(found[0]), b"\0"),
            content,
        )
        target.write_bytes(content)
        if loadable(str(target)):
            return 0
        target.unlink()
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
