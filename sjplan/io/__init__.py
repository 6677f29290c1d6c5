"""L3: files in and out: volumes, label maps, plans, catalogues, exports."""
