"""A server over systems: HTTP API, search page, MCP. It needs the extra ``serve``."""
