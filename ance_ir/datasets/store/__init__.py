"""Documents and docnos on disk."""
