"""Machine proofs of the theory, and proofs or refutations about real networks."""
