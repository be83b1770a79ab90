"""Training runs as they lie on disk, shown in tables, curves and a page."""
