"""How coarse a lossy WebP is: its frames' headers say it, as JPEG's tables do.

Source: RFC 6386, sections 7.3 (bits that are coded with their probabilities) and 9.2 to 9.6 (the header).
"""

from __future__ import annotations

_BEFORE_HEADER = 10
"""Bytes of a key frame's tag, start code and size."""


class _Bits:
    """Bits of even probability, as a frame's header has them."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 2
        self._value, self._range, self._shifted = int.from_bytes(data[:2], "big"), 255, 0

    def bit(self) -> int:
        split = 1 + (self._range - 1) // 2
        found = self._value >= split << 8
        if found:
            self._range -= split
            self._value -= split << 8
        else:
            self._range = split
        while self._range < 128:
            self._value <<= 1
            self._range <<= 1
            self._shifted += 1
            if self._shifted == 8:
                self._shifted = 0
                self._value |= self._data[self._at]
                self._at += 1
        return int(found)

    def number(self, bits: int) -> int:
        value = 0
        for _ in range(bits):
            value = 2 * value + self.bit()
        return value

    def numbers_if_said(self, count: int, bits: int, sign: bool) -> list[int]:
        """Each behind a bit that says whether it is there; 0 where it is not."""
        return [self._signed(bits, sign) if self.bit() else 0 for _ in range(count)]

    def _signed(self, bits: int, sign: bool) -> int:
        value = self.number(bits)
        return -value if sign and self.bit() else value


def quantiser(frame: bytes) -> float:
    """The index of the step, 0 (finest) to 127, that a key frame's coefficients were divided by; the mean of its segments.

    Raises:
        IndexError: the frame breaks off.
    """
    bits = _Bits(frame[_BEFORE_HEADER:])
    bits.number(2)  # colour space and clamping
    segments: list[int] = []
    absolute = 0
    if bits.bit():
        new_map, new_data = bits.bit(), bits.bit()
        if new_data:
            absolute = bits.bit()
            segments = bits.numbers_if_said(4, 7, sign=True)
            bits.numbers_if_said(4, 6, sign=True)
        if new_map:
            bits.numbers_if_said(3, 8, sign=False)
    bits.number(10)  # loop filter: kind, level, sharpness
    if bits.bit() and bits.bit():
        bits.numbers_if_said(8, 6, sign=True)
    bits.number(2)  # partitions
    base = bits.number(7)
    if not segments:
        return base
    return sum(segments) / 4 + (0 if absolute else base)


def quality(index: float) -> int:
    """The quality, 0 to 100, for which libwebp takes a step: it undoes `QualityToCompression` of its quant_enc.c."""
    linear = (1 - index / 127) ** 3
    return min(100, max(0, round(100 * (1.5 * linear if linear < 0.5 else (linear + 1) / 2))))
