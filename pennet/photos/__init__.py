"""Anybody's photos: read with all that belongs to them, and written back as they were but for the hole.

What comes back, where a photo is written in its own format:

- PNG: pixels bit for bit, 8 and 16 bits, grey and alpha; all chunks that are not about how pixels are packed.
- TIFF: the same; compression (none, LZW, deflate, PackBits), byte order, all tags of the first picture with EXIF and GPS.
- WebP: lossless bit for bit; lossy about as coarse as it was. AVIF: quality 90. BMP: pixels bit for bit.
- JPEG: its quantisation tables, subsampling, progressive or not, Huffman tables of its own or not; all segments with EXIF,
  XMP, profile, captions, comments.

Pixels lie as they lay, and EXIF says which side is up; in another format they are the right side up. Small copies of the old
picture (thumbnails, previews, layers, films) are left out, because they show what a person had removed. Palettes, CMYK, Lab
and single bits become RGB or grey, with a word.
"""
