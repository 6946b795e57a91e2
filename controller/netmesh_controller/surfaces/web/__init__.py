"""The HTTP API: one small file a resource. What a route takes and answers is declared once, in `operations`."""
