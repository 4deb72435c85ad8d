"""Bulk updates that survive their process: every step of a job is in its journal.

`job` has `BulkUpdateJob`, what users hold; `running` works through the `entries` of a `journal`,
which is a `database` in one of the `files`; `deciding` and `export` are pure.
"""
