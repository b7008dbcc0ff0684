"""Is a retrain worth its cost now? Policies that answer, measured over the same models.

``python -m benchmarks.decision --data DIR --spec SPEC.toml --out OUT.json``. The protocol, the
peers and the figures are in ``docs/decision-quality.md``.
"""
