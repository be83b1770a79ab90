"""Refreshes: when negatives are mined again while training continues, and the processes that mine them."""
