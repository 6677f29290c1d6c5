"""sjplan: planning and rehearsal of lateral transarticular sacroiliac joint fusion. Not for clinical use."""

__version__ = "0.1.0"
NOT_FOR_CLINICAL_USE = "For planning research and training. Not for clinical use."
