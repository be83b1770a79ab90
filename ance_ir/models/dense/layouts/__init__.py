"""The layouts in which dense encoders are published, one module each; ``ance_ir/models/dense/layout.py`` says what a module has."""
