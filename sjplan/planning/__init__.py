"""L2: planners, and what every planner has to be."""
