"""The bones as implicit shapes: forms in numbers, proportions, and what they make."""
