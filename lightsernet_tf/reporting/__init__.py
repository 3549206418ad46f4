"""What reports are written with: Markdown, tables, pictures, fonts."""
