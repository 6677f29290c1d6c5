"""Rehearsal: an operation step by step, without a window."""
