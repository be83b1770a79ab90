"""The layouts in which dense retrievers are published, a module each; ``ance_ir.models.checkpoint`` tells which one a checkpoint has."""
