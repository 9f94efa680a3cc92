"""Data collection, behaviour cloning and DAgger; what is learned here is served elsewhere."""
