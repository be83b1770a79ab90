"""The layouts in which dense retrievers are published, one module each."""
