"""A reader of FlatBuffers tables by field id, with every access checked against the buffer."""
import struct

import numpy as np


class Table:
    """A table at byte `position` of `data`. Field n has its vtable slot at 4 + 2n."""

    def __init__(self, data, position):
        self.data = data
        self.position = position
        self.vtable = position - self._read("<i", position)
        self.slots = (self._read("<H", self.vtable) - 4) // 2

    @classmethod
    def root(cls, data):
        return cls(data, struct.unpack_from("<I", data, 0)[0])

    def scalar(self, field, fmt, default=0):
        at = self._field(field)
        return default if at is None else self._read("<" + fmt, at)

    def table(self, field):
        at = self._field(field)
        return None if at is None else Table(self.data, self._follow(at))

    def string(self, field):
        at = self._field(field)
        if at is None:
            return None
        start, count = self._vector(at)
        return bytes(self.data[start:start + count]).decode("utf-8")

    def vector(self, field, dtype):
        """A numpy array of scalars, or None."""
        at = self._field(field)
        if at is None:
            return None
        start, count = self._vector(at)
        dtype = np.dtype(dtype)
        if start % dtype.itemsize:
            raise ValueError(f"vector elements at {start} are not aligned to {dtype.itemsize}")
        return np.frombuffer(self.data, dtype, count, start)

    def tables(self, field):
        at = self._field(field)
        if at is None:
            return []
        start, count = self._vector(at)
        return [Table(self.data, self._follow(start + 4 * i)) for i in range(count)]

    def strings(self, field):
        at = self._field(field)
        if at is None:
            return []
        start, count = self._vector(at)
        out = []
        for i in range(count):
            text, length = self._vector(start + 4 * i)
            out.append(bytes(self.data[text:text + length]).decode("utf-8"))
        return out

    def _field(self, field):
        if field >= self.slots:
            return None
        offset = self._read("<H", self.vtable + 4 + 2 * field)
        return self.position + offset if offset else None

    def _follow(self, at):
        return at + self._read("<I", at)

    def _vector(self, at):
        start = self._follow(at)
        return start + 4, self._read("<I", start)

    def _read(self, fmt, at):
        if at < 0 or at + struct.calcsize(fmt) > len(self.data):
            raise ValueError(f"reads at {at}, the buffer has {len(self.data)} bytes")
        return struct.unpack_from(fmt, self.data, at)[0]
