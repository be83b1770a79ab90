"""An index on disk: vectors, docnos, the manifest, and the modules that write them."""
