"""The books: every request and every attempt, what it cost and how it ended.

`writer.Tracker` records; `store.open_store` opens SQLite or PostgreSQL; `analytics`, `savings` and
`export` read. Nothing is imported here, because SQLAlchemy is slow to import.
"""
