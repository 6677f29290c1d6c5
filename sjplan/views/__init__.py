"""L3: the standard views of this patient."""
