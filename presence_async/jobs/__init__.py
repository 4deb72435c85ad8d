"""Bulk updates that survive their process: every step of a job is in its journal.

* `entries`: one item of a job, its states, and what callers get to see of it. Pure.
* `deciding`: whether an item has to be sent, by what its user shows. Pure.
* `database`: SQLite through its asynchronous driver: transactions that are never cut in two.
* `journal`: the file: its schema, its lock, its checks, entries in and out.
* `running`: works through the entries of a journal, whatever keeps them.
* `export`: outcomes as CSV and JSON Lines.
* `job`: `BulkUpdateJob`, what users hold.
"""
