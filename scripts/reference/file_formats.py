"""formats/: small files written by NumPy, Python's gzip and the safetensors package, and what they hold (contents.json)."""

import gzip
import io
import json
import os
import struct
import zipfile

import numpy as np
from safetensors.numpy import save_file

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../Tests/Reference/formats")
NAMES = {"float16": "f16", "float32": "f32", "float64": "f64", "int8": "i32", "int16": "i32", "uint16": "i32", "int32": "i32", "int64": "i64", "uint32": "i64", "uint64": "i64", "uint8": "u8", "bool": "bool"}
CONTENTS = {}


def path(name):
    return os.path.join(FOLDER, name)


def described(a):
    values = a.astype(np.float64) if a.dtype.kind == "f" else a
    return {"dtype": NAMES[a.dtype.newbyteorder("=").name], "shape": list(a.shape), "values": values.reshape(-1).tolist()}


def put(name, data):
    with open(path(name), "wb") as file:
        file.write(data)


def array(name, a, version=None):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, a, version=version)
    put(name, buffer.getvalue())
    CONTENTS[name] = described(a)


def npy():
    counted = np.arange(6).reshape(2, 3)
    for code in ("<f2", "<f4", "<f8", ">f2", ">f4", ">f8"):
        array(f"{'big' if code[0] == '>' else 'little'}-{code[1:]}.npy", (counted / 8 - 0.25).astype(code))
    for code in ("<i1", "<i2", "<i4", "<i8", ">i2", ">i4", ">i8"):
        info = np.iinfo(code)
        array(f"{'big' if code[0] == '>' else 'little'}-{code[1:]}.npy", np.array([info.min, -1, 0, 1, info.max], dtype=code))
    for code in ("u1", "<u2", "<u4", ">u2", ">u4"):
        array(f"{'big' if code[0] == '>' else 'little'}-{code[-2:]}.npy", np.array([0, 1, np.iinfo(code).max], dtype=code))
    array("little-u8.npy", np.array([0, 2**63 - 1], dtype="<u8"))
    array("big-u8.npy", np.array([0, 2**63 - 1], dtype=">u8"))
    array("bool.npy", np.array([[True, False], [False, True]]))
    array("number.npy", np.array(2.5))
    array("empty.npy", np.zeros((0, 3), dtype=np.float32))
    array("columns.npy", np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)))
    array("columns-three.npy", np.asfortranarray(np.arange(24).reshape(2, 3, 4).astype(">i4")))
    array("version-2.npy", np.arange(3, dtype=np.float32), (2, 0))
    array("version-3.npy", np.arange(3, dtype=np.float32), (3, 0))

    refused = {"objects": np.array([None, 1], dtype=object), "records": np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]), "complex": np.zeros(2, dtype=np.complex64), "strings": np.array(["a", "bc"]), "dates": np.zeros(2, dtype="<M8[s]"), "longdouble": np.zeros(2, dtype=np.longdouble)}
    for name, a in refused.items():
        np.save(path(f"refused-{name}.npy"), a, allow_pickle=True)
    np.save(path("refused-large-u8.npy"), np.array([2**63], dtype=np.uint64))


def npz():
    arrays = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.array([0.5, -0.5]), "step": np.array(7), "mask": np.array([True, False])}
    for name, save in (("stored.npz", np.savez), ("deflated.npz", np.savez_compressed)):
        save(path(name), **arrays)
        CONTENTS[name] = [{"name": n, **described(a)} for n, a in arrays.items()]
    np.savez_compressed(path("zeros.npz"), a=np.zeros(20000, dtype=np.uint8))
    with zipfile.ZipFile(path("refused-member.npz"), "w") as archive:
        archive.writestr("readme.txt", "no array")
    with zipfile.ZipFile(path("refused-method.npz"), "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.npy", open(path("little-f4.npy"), "rb").read())


def idx():
    for code, letter, dtype in ((8, "B", np.uint8), (9, "b", np.int8), (11, "h", np.int16), (12, "i", np.int32), (13, "f", np.float32), (14, "d", np.float64)):
        a = np.array([[0, 1, 2], [100, 120, 127]]).astype(dtype) - (dtype(1) if dtype != np.uint8 else 0)
        data = struct.pack(">BBBBII", 0, 0, code, 2, 2, 3) + struct.pack(f">6{letter}", *a.reshape(-1).tolist())
        name = f"{dtype.__name__}.idx"
        put(name, data)
        CONTENTS[name] = described(a)
        if code == 8:
            put("images-idx2-ubyte", data)
            put("images-idx2-ubyte.gz", gzip.compress(data, mtime=0))
            put("two-members.idx.gz", gzip.compress(data[:9], mtime=0) + gzip.compress(data[9:], mtime=0))
            put("padded.idx.gz", gzip.compress(data, mtime=0) + bytes(100))
            for copy in ("images-idx2-ubyte", "images-idx2-ubyte.gz", "two-members.idx.gz", "padded.idx.gz"):
                CONTENTS[copy] = described(a)


def safetensors():
    every = {code: np.array([[0, 1, 2], [3, 4, 100]]).astype(code) for code in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")}
    every["bool"] = np.array([True, False, True])
    every["number"] = np.array(1.5, dtype=np.float32)
    every["empty"] = np.zeros((0, 4), dtype=np.float32)
    every['größe "x"\n'] = np.array([1.0], dtype=np.float32)
    save_file(every, path("every.safetensors"), metadata={"note": 'a "quoted"\ttext, Ω'})
    CONTENTS["every.safetensors"] = [{"name": n, **described(a)} for n, a in every.items()]

    # Only dtypes that Gradus has: it must write the same bytes.
    own = {"b.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.weight": np.arange(3, dtype=np.float32), "half": np.array([0.5, 0.25, 1], dtype=np.float16), "wide": np.array([1 / 3]), "step": np.array(9), "small": np.array([1, 2], dtype=np.int32), "bytes": np.array([1, 2, 255], dtype=np.uint8), "mask": np.array([True, False]), "none": np.zeros((2, 0), dtype=np.float32)}
    save_file(own, path("own.safetensors"), metadata={"seed": "0"})
    CONTENTS["own.safetensors"] = [{"name": n, **described(a)} for n, a in own.items()]
    save_file({}, path("nothing.safetensors"))
    CONTENTS["nothing.safetensors"] = []


def main():
    os.makedirs(FOLDER, exist_ok=True)
    for old in os.listdir(FOLDER):
        os.unlink(path(old))
    for group in (npy, npz, idx, safetensors):
        group()
    with open(path("contents.json"), "w") as file:
        json.dump(CONTENTS, file, ensure_ascii=False, indent=None, separators=(",", ":"))
        file.write("\n")


main()
