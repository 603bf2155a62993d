"""The fault ring: the real command line is killed, cut off and starved, by the thousand.

``python -m tests.faults`` runs a campaign; pytest runs a short selection of the same
cases. Every case has a number, and the same number is the same case again.
"""
