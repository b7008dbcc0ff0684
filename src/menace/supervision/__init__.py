"""Holds processes to limits, ends all that stems from them, and accounts for it."""
