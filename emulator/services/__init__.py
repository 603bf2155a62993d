"""One file per Google service: its RPCs, from request to answer."""
