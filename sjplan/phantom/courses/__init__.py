"""Nerves and vessels: the courses they take past the bones."""
