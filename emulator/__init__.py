"""Google Cloud on a laptop: real protocols, real processes, faults on command."""
