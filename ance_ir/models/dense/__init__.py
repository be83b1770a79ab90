"""Dense encoders: queries and passages to vectors."""
