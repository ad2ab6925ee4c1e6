"""Everything that imports triton: a file a kernel family. Nothing outside this package imports triton.

A kernel file holds, in this order: its byte and flop counts, its kernels, its launchers (they allocate, compute the
grid and pass strides; no checks, no autograd) and `configurations(target)`, what is compiled ahead of time.
"""
