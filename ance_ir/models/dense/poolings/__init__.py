"""The poolings, one module each; ``ance_ir/models/dense/pooling.py`` says what a module has."""
