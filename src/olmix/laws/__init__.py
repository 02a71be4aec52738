"""Laws that predict a metric from a mixture: mathematics on the simplex."""
