"""From the size that a network knows to the photo's own: its attention is carried up, and fills the full picture's hole."""

from pennet.high_resolution.carrying import carry_up

__all__ = ["carry_up"]
