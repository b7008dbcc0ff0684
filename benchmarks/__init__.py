"""Timings, each a program: ``python -m benchmarks.NAME``. Tests never time anything."""
