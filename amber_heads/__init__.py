"""Stage two: a cache is read and heads are trained on it, a whole table of runs at once."""
