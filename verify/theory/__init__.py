"""Theorems as data, a sympy prover, and an independent checker that shares only their syntax."""
