"""Cross-encoders: a query and a document to a score."""
