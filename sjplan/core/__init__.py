"""L0: frames, grids, volumes, label maps, implants, trajectories, plans, errors and tolerances."""
