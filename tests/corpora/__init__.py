"""Real migration directories of public projects, applied by psql and by us.

Run by hand (``python -m tests.corpora``); pytest collects only the conversion's own
tests. Holds no third-party text and fetches nothing: checkouts are made by the caller.
"""
