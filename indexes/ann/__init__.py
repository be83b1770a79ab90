"""Approximate nearest neighbours: Faiss families built over an index's vectors, and searched. ``settings`` says what their names mean."""
