"""Files of vectors that other tools read and write: one module a format, with an entry ``FORMAT``."""
