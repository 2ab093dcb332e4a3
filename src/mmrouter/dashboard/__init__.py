"""The dashboard: a JSON API over the books, one file per page's data, and the built page.

It knows nothing of HTTP: `server.dashboard` translates. Money is in nano-dollars, instants are Unix
seconds, durations milliseconds; the page turns them into what its viewer reads.
"""
