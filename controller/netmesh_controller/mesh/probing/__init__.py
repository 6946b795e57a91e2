"""The continuous probe of a mesh: who probes whom, and what the windows say. Pure."""
