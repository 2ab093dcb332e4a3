"""Policy: pure functions from what is known to what is done. No I/O, clock, random or logging."""
