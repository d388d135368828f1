"""Published results as studies: what was published, the sweep that repeats it, and how near that comes."""
