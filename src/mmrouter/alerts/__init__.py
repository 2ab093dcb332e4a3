"""Tells people when something goes wrong, and never keeps a request waiting for it."""
