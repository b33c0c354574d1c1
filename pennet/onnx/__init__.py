"""Trained generators as ONNX files: exported, and run without torch's networks.

An ONNX graph has no shapes that depend on its data, so here attention is *dense*: every position is a query and a key, and
keys that may not be copied get no mass. The numbers are those of `pennet.models`, the memory is not: it grows with the
square of the positions.
"""
