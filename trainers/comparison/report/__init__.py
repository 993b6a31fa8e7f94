"""The page that `compare` writes: one HTML file that needs nothing beside it."""
