"""Which held-out texts a feature's explanations are scored on: drawn once for all of them."""
