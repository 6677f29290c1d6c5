"""L5: the command line, a thin shell over the library."""
