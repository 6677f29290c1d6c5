"""L3: PyVista pictures and scenes."""
