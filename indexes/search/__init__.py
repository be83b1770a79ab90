"""Search: from query vectors to the best passages, and from these to documents."""
