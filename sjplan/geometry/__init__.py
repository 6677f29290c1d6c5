"""L1: distances, solids, fields and surfaces; functions over arrays, no anatomy."""
