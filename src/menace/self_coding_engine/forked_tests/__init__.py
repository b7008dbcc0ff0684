"""What runs inside the sandbox for :class:`~menace.self_coding_engine.testing.TestServer`.

Standard library only, and pytest where the tests are pytest's. Nothing of menace is imported by the
modules here but each other, and :mod:`.server` forgets even those names, so that tests of menace's
own code import what lies in their folder.
"""
