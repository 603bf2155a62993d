"""The only importer of the driver: sessions, locks, history, execution."""
