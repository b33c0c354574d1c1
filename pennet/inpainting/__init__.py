"""The parts of `pennet.inpainter`: models by name, holes and their windows, painting, memory."""
