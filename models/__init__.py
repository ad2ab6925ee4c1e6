"""The networks of four papers, their data sets and training."""
