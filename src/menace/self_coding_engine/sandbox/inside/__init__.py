"""Programs that run inside the sandbox, by path; nothing here is imported by menace."""
