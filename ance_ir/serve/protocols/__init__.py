"""The protocols that the server speaks, a module each."""
