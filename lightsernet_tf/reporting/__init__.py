"""What reports are written with: Markdown, tables, fonts."""
