"""One file a verdict. A rule that is added here is asked."""
