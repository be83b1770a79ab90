"""Approximate nearest neighbours: building and searching Faiss indexes of an index's vectors. ``settings`` defines their names."""
