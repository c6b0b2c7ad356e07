"""Running the contracts: a node of our own, a fast client, and what is built on them."""
