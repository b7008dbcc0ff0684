"""What runs inside the sandbox to record calls of a file's functions, and to repeat and time them.

Standard library only, and NumPy and pandas where the values are theirs. As in
:mod:`menace.self_coding_engine.forked_tests`, menace's own names are forgotten once the programs
are loaded, so that a checkout of menace itself can be looked at.
"""
