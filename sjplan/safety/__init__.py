"""L2: the only judge of a plan; a planner never grades itself."""
