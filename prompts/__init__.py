"""The prompt system's Python: what the shipped schema exists for. Knows no runner."""
