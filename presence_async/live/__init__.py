"""The notification stream: presences as they change, and never silently wrong."""
