"""What a person at a terminal sees of a sweep; plain text where the output is not a terminal."""
