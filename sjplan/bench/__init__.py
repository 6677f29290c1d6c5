"""L4: the planner benchmark: planners x cases x seeds, one row a run, failures included."""
