"""How committed events reach those who want to know.

:class:`menace.events.in_process_event_bus.InProcessEventBus` delivers within a process; the engine
takes what was committed from the store to the bus.
"""
