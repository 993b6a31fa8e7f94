"""Several trainings of one recipe: a search over its fields, and cross-validation."""
