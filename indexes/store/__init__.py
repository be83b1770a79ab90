"""An index on disk: vectors, docnos, the manifest, and all that writes them."""
