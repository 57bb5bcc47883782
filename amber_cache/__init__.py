"""Stage one: a corpus is read, encoded once and kept as an HDF5 cache."""
