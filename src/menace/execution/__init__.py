"""Where trainings run, and what time and CPU time it is there.

:class:`menace.execution.inline_executor.InlineExecutor` runs them in the calling process,
:class:`menace.execution.process_pool.ProcessPool` in worker processes;
:mod:`menace.execution.system` has the clock and the CPU meters.
"""
