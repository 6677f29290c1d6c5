"""L2: an analytic pelvis with exact truth."""
