"""Ways of adaptive retrieval by name; ``ADAPTIVES`` finds them."""
