"""When negatives are mined again while training goes on, and the processes that mine them."""
