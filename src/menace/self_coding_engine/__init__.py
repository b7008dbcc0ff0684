"""Patches a bot's helper code, safely, before its pipeline runs."""
