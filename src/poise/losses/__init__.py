"""Loss terms of four real systems, as functions of tensors; one package for each system."""
