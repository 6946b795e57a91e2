"""Why is this pair slow? What to measure next, and what follows from what was measured. Pure."""
