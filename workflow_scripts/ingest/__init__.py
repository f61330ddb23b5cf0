"""From a folder to a table of cases, and from the table to chunks of work."""
