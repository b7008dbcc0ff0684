"""Repairs functions whose tests fail, by small edits, without a language model."""
