"""The proof that the prompt system's migration is there, whole and working."""
