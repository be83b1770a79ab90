"""The formats of exported models, one module each; ``ance_ir/models/export/format.py`` says what a module has."""
