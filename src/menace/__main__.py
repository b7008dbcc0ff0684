"""``python -m menace`` is the ``menace`` command."""

from __future__ import annotations

from menace.cli import main

if __name__ == "__main__":
    main()
