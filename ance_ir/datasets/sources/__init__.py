"""Where datasets come from: one module for each layout."""
