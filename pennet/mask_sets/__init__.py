"""Masks of a whole test set: from files, and on the disk. Apart from `pennet.masks`, because no training runs any of it."""
