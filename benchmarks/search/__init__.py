"""The search benchmark: what the built-in pipeline finds within a CPU budget, and what others do.

``python -m benchmarks.search --out OUT.json``; see ``docs/search.md``.
"""
