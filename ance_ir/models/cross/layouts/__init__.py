"""The layouts in which rerankers are published, one module each; ``ance_ir/models/cross/layout.py`` says what a module has."""
