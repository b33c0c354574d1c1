"""Holes in videos: every frame filled by itself, then calmed by what the frame before shows."""
