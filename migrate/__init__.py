"""The engine: versioned SQL files and one PostgreSQL database. Knows no cloud."""
