"""Published dense encoders, a TOML file for each family; ``ance_ir/models/dense/published.py`` says what a file holds."""
