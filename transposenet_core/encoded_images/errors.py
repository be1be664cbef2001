"""Errors of bytes that give no image."""

from __future__ import annotations


class ImageDataError(Exception):
    """Bytes that are no whole JPEG or PNG: the text has what was found, `advice` what to do with such a file."""

    advice = "copy it again or leave it out"


class ImageSizeError(ImageDataError):
    """A header with a side of zero, too many pixels, or a strip."""

    advice = "resize it or leave it out"
