"""Reads tokenizer.mtok, the binary tokenizer file of MNN's runtime 3.5.0 and later. Shares nothing with the writer."""
import struct


class Reader:
    def __init__(self, data):
        self.data = data
        self.pos = 0

    def line(self):
        end = self.data.index(b"\n", self.pos)
        text = self.data[self.pos:end].decode()
        self.pos = end + 1
        return text

    def take(self, size):
        if self.pos + size > len(self.data):
            raise ValueError(f"file ends at {len(self.data)}, {size} bytes wanted at {self.pos}")
        self.pos += size
        return self.data[self.pos - size:self.pos]

    def u8(self):
        return self.take(1)[0]

    def u32(self):
        return struct.unpack("<I", self.take(4))[0]

    def str(self):
        return self.take(struct.unpack("<H", self.take(2))[0]).decode()

    def bool(self):
        value = self.u8()
        if value > 1:
            raise ValueError(f"flag of {value} at {self.pos - 1}")
        return bool(value)


def read_table(r):
    rows = [(r.u32(), r.str()) for _ in range(r.u32())]
    if rows != sorted(rows):
        raise ValueError("a table that is not sorted")
    return dict(rows)


def read_normalizer(r):
    kind = r.u8()
    if kind == 0:
        return None
    if kind == 2:
        return ("Prepend", r.str())
    if kind == 3:
        return ("Replace", r.str(), r.str())
    if kind == 4:
        return ("Sequence", [read_normalizer(r) for _ in range(r.u32())])
    if kind == 5:
        return ("Bert", [r.bool() for _ in range(4)])
    if kind == 6:
        return ("Table", read_table(r))
    if kind == 7:
        flags = [r.bool() for _ in range(4)]
        return ("Bert", flags, read_table(r) if flags[2] else {})
    if kind == 8:
        return ("Strip", r.bool(), r.bool())
    raise ValueError(f"normalizer type {kind}")


def read_pre_tokenizer(r):
    kind = r.u8()
    if kind == 0:
        return None
    if kind == 1:
        return ("ByteLevel", r.bool())
    if kind == 3:
        return ("Metaspace", r.str(), r.bool())
    if kind == 4:
        return ("Split", r.str(), r.bool(), {0: "Isolated", 1: "Removed", 2: "MergedWithPrevious"}[r.u8()])
    if kind == 5:
        return ("Bert",)
    if kind == 6:
        return ("Sequence", [read_pre_tokenizer(r) for _ in range(r.u32())])
    raise ValueError(f"pre-tokenizer type {kind}")


def read_model(r):
    kind, num_pieces = r.u8(), r.u32()
    model = {"type": ("BPE", "WordPiece", "Unigram")[kind]}
    if kind == 0:
        model.update(byte_fallback=r.bool(), byte_level=r.bool())
        num_merges = r.u32()
    elif kind == 1:
        model.update(unk=r.str(), prefix=r.str(), max_bytes=r.u32())
    else:
        model.update(unk_id=r.u32(), byte_fallback=r.bool())
    pieces = [(r.str(), r.u32()) + ((struct.unpack("<d", r.take(8))[0],) if kind == 2 else ()) for _ in range(num_pieces)]
    model["pieces"] = [p[:2] for p in pieces]
    model["scores"] = {p[1]: p[2] for p in pieces if kind == 2}
    if kind == 0:
        model["merges"] = [(r.u32(), r.u32(), r.u32()) for _ in range(num_merges)]
    return model


def read_decoder(r):
    kind = r.u8()
    name = ("ByteLevel", "ByteFallback", "Metaspace", "WordPiece", "Fuse", "Replace", "Strip", "Sequence")[kind]
    if kind in (2, 3):
        return (name, r.str(), r.bool())
    if kind == 5:
        return (name, r.str(), r.str())
    if kind == 6:
        return (name, r.str(), r.u32(), r.u32())
    if kind == 7:
        return (name, [read_decoder(r) for _ in range(r.u32())])
    return (name,)


def read(data):
    """The whole file as a dict; ValueError for anything that the runtime would misread."""
    r = Reader(data)
    if r.line() != "430 4":
        raise ValueError("no tokenizer.mtok")
    counts = [int(n) for n in r.line().split()]
    ids = [int(n) for n in r.line().split()]
    if len(counts) != 3 or len(ids) != sum(counts):
        raise ValueError(f"counts {counts}, {len(ids)} ids")
    special, stop, prefix = (ids[sum(counts[:i]):sum(counts[:i + 1])] for i in range(3))
    out = {"special": special, "stop": stop, "prefix": prefix, "normalizer": read_normalizer(r),
           "pre_tokenizer": read_pre_tokenizer(r), "model": read_model(r), "decoder": read_decoder(r)}
    out["added"] = [(r.u32(), r.bool(), r.bool(), r.bool(), r.str()) for _ in range(r.u32())]
    out["template"] = r.take(r.u32()).decode()
    out["eos"] = r.str()
    out["clean_up"] = r.bool()
    out["bos"] = r.str()
    if r.pos != len(data):
        raise ValueError(f"{len(data) - r.pos} bytes behind the end")
    return out
