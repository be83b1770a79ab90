"""What can be reproduced, a TOML file for each checkpoint; ``ance_ir/paper/reproduction/catalogue.py`` says what a file holds."""
