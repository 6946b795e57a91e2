"""The page of the HTML report, part by part."""
