"""L2: a pelvis from a label map: joint, foramina, canal, danger surfaces, landmarks, pelvic frame."""
