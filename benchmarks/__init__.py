"""How fast the engine is, beside psql and beside what is physically possible."""
