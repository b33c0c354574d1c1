"""Anybody's photos: read with all that belongs to them, and written back as they were but for the hole."""
