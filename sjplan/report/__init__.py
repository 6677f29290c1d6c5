"""L3: the one-file HTML report."""
