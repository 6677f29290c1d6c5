"""Planners to compare with: each one idea, small, under the same limits and the same judge."""
