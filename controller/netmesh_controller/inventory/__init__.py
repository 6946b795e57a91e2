"""Who is there: one file a source of agents."""
