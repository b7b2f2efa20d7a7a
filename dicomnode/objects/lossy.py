"""Whether pixels have lost something to compression, and what a derived image must say of it.

Lossy Image Compression is never taken back: whatever is made of pixels that were compressed with loss bears 01 as well
(PS3.3 C.7.6.1.1.5).
"""

from __future__ import annotations

from collections.abc import Iterable

from pydicom import uid
from pydicom.dataset import Dataset

from dicomnode.objects.decoding import transfer_syntax
from dicomnode.objects.elements import copied, dataset, put, text
from dicomnode.objects.modules import merge

# Transfer Syntax -> Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1)
_ALWAYS = {uid.JPEGBaseline8Bit: "ISO_10918_1", uid.JPEGExtended12Bit: "ISO_10918_1"}
# they can also be used without loss: so they are where the image says that nothing was lost
_MAYBE = {uid.JPEGLSNearLossless: "ISO_14495_1", uid.JPEG2000: "ISO_15444_1", uid.HTJ2K: "ISO_15444_15"}
_LOST, _NOTHING_LOST = "01", "00"


def lossy(ds: Dataset) -> bool:
    """Tell whether an image says that it was compressed with loss, or came so without a word."""
    stated, syntax = text(ds, "LossyImageCompression"), transfer_syntax(ds)
    return stated == _LOST or syntax in _ALWAYS or (syntax in _MAYBE and stated != _NOTHING_LOST)


def lossy_compression(headers: Iterable[Dataset]) -> Dataset:
    """Return what is said of loss in an image that was made of these: ratio and method of the first that has lost."""
    for header in headers:
        if lossy(header):
            ds = dataset(LossyImageCompression=_LOST)
            merge(ds, copied(header, "LossyImageCompressionRatio", "LossyImageCompressionMethod"))
            method = {**_ALWAYS, **_MAYBE}.get(uid.UID(transfer_syntax(header)))
            if method and not text(header, "LossyImageCompressionMethod"):
                put(ds, LossyImageCompressionMethod=method)
            return ds
    return dataset(LossyImageCompression=_NOTHING_LOST)
