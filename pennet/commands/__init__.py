"""The commands of `pennet`, one file each, and what `pennet inpaint` is made of: jobs, filling, running."""
