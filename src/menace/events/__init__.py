"""How committed events reach those who want to know.

:class:`menace.events.in_process_event_bus.InProcessEventBus` delivers within a process,
:class:`menace.events.outbox_relay.OutboxRelay` takes what was committed to the bus.
"""
