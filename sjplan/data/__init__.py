"""Catalogues, limits and spectra; read only by sjplan.io."""
