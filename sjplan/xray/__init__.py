"""L1: C-arm, projector, implants as exact chords, detector; no anatomy, no window."""
