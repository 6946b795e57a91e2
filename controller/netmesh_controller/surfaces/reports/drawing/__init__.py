"""Pictures by matplotlib, which takes half a second to import: only where one is drawn."""
