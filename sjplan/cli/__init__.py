"""L5: the command line. Every command is a short story; the work is done in the rooms below."""
