"""Theorems as data, a sympy prover, and an independent checker that shares the parser with it."""
