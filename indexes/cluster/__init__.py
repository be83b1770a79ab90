"""Work spread over the nodes of a Ray cluster: encoding a corpus, and exact search."""
