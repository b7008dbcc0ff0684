"""Runs code that nobody trusts, where it can do no harm."""
