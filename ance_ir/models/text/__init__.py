"""How models want their text: settings and tokenization."""
