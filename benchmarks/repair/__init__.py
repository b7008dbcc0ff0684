"""How many small bugs repair finds: ``python -m benchmarks.repair``."""
