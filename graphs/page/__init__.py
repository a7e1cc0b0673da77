"""What people look at: a database read into records, and records rendered as HTML."""
