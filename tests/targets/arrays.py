"""Objects that show a piece of memory to others, of every kind, and views of them: for `arrays`.

usage: arrays.py TRUTH [numpy] [pandas] [compiled FOLDER]    with arrays of these modules; with the compiled module of a folder

The truth is told by a forked child, as in oracle.py: of each such object that the collector shows, what the interpreter
says of it by memoryview, len and the attributes of its type, and sys.getsizeof() of every object.
"""
import array
import ctypes
import gc
import io
import json
import mmap
import os
import pickle
import sys
import tempfile
import traceback
import types

import oracle

NUMPY = PANDAS = None
if "numpy" in sys.argv[2:]:
    import numpy as NUMPY
if "pandas" in sys.argv[2:]:
    import pandas as PANDAS
if "compiled" in sys.argv[2:]:
    sys.path.insert(0, sys.argv[-1])
    import grids
PYTHON_3 = sys.version_info >= (3,)
CDATA = ctypes.c_int.__mro__[2]
PICKLE_BUFFER = getattr(pickle, "PickleBuffer", None)
KEPT, EXPLICIT_BASES, FRAMES = [], {}, []


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("weights", ctypes.c_double * 20), ("link", ctypes.POINTER(ctypes.c_int))]


class Blob(bytes):
    pass


class Room(bytearray):
    pass


def keep(*objects):
    KEPT.extend(objects)
    return objects[0]


def standard():
    text = keep(b"of many kinds " * 1000, b"", b"a", Blob(b"of a class" * 99))
    room = keep(bytearray(b"room" * 5000), bytearray(), Room(b"of a class"))
    for i in range(500):
        room.append(i % 200)
    del room[:7]
    numbers = keep(array.array("d", [0.5] * 3000), array.array("i"), array.array("B", [1, 2, 3]))
    numbers.append(1.0)
    for view in keep(memoryview(text)), keep(memoryview(text)[5:100]):
        EXPLICIT_BASES[id(view)] = id(text)  # 2.7 does not tell it
    if PYTHON_3:
        keep(memoryview(memoryview(room)[10:])[::3], memoryview(numbers), memoryview(numbers)[:100].cast("B"), memoryview(bytes(24)).cast("B", [2, 3, 4]))
    if PICKLE_BUFFER:
        keep(*map(PICKLE_BUFFER, (text, room, numbers, memoryview(room)[5:], b"released")))
        KEPT[-1].release()
    in_memory = io.BytesIO(b"in memory" * 1000)
    KEPT.append(in_memory)
    if PYTHON_3:
        KEPT.append(in_memory.getbuffer())


def maps():
    private = keep(mmap.mmap(-1, 300000, mmap.MAP_PRIVATE), mmap.mmap(-1, 4096 * 30))
    private.write(b"x" * 5000)
    with tempfile.TemporaryFile(dir=os.path.dirname(sys.argv[1])) as file:
        file.write(b"file" * 10000)
        file.flush()
        of_file = keep(mmap.mmap(file.fileno(), 0), mmap.mmap(file.fileno(), 8192, access=mmap.ACCESS_READ))
    closed = keep(mmap.mmap(-1, 4096))
    closed.close()
    if PYTHON_3:
        keep(memoryview(private)[100:], memoryview(of_file))
        array_there = keep((ctypes.c_short * 50).from_buffer(private, 4096))
        EXPLICIT_BASES[id(array_there)] = id(private)


def foreign():
    """ctypes."""
    numbers = keep((ctypes.c_int * 5000)(), ctypes.c_double(1.5), ((ctypes.c_short * 3) * 2)(), (ctypes.c_char * 0)())
    point = keep(Point(), (Point * 7)(), Point.from_buffer_copy(b"z" * ctypes.sizeof(Point)))
    points = KEPT[-2]
    keep(point.weights, points[3], points[3].weights, ctypes.pointer(numbers), ctypes.create_string_buffer(b"text", 900))
    room = keep(bytearray(2000))
    there = keep((ctypes.c_char * 1000).from_buffer(room, 100))
    EXPLICIT_BASES[id(there)] = id(room)
    by_address = keep((ctypes.c_int * 10).from_address(ctypes.addressof(numbers) + 40))
    EXPLICIT_BASES[id(by_address)] = id(numbers)
    keep(ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(abs), ctypes.CFUNCTYPE(None)(standard))
    keep(ctypes.c_int.in_dll(ctypes.pythonapi, "Py_OptimizeFlag" if sys.version_info < (3, 12) else "Py_UTF8Mode")
         if sys.version_info < (3, 15) else None)


def of_numpy():
    np = NUMPY
    table = keep(np.arange(120000, dtype="f8").reshape(300, 400))
    keep(table[::2], table.T, table[5], table.view("u1"), np.broadcast_to(table[0], (3, 400)), table[:0])
    room = keep(bytearray(8000))
    there = keep(np.frombuffer(room, dtype="i4"), np.frombuffer(b"constant" * 10, dtype="u1"))
    keep(there[1:5], memoryview(there), memoryview(table)[3:])
    for dtype in ("?", "i1", "u2", "i8", "f2", "f4", "g", "c8", "c16", "U7", "S5", "V9", "M8[ns]", "m8[25s]", "M8", ">f8", ">U3",
                  ">M8[D]", [("a", "i4"), ("b", "f8")], [("a", "i1"), ("b", "S4"), ("c", ">u2"), ("d", "?"), ("e", "f4", (2, 3))],
                  np.dtype([("a", "i1"), ("b", "f8")], align=True), "q", "O"):
        keep(np.zeros((3, 5), dtype=dtype))
    keep(np.array(5.0), np.array("text"), np.asfortranarray(table[:3]), np.empty((0, 3)), np.zeros((2,) * 20, "i1"),
         np.rec.array([(1, 2.0)], dtype=[("x", "i4"), ("y", "f8")]), np.ma.masked_array([1, 2], [0, 1]),
         np.matrix([[1, 2], [3, 4]]))
    things = keep(np.array([["held"] * 3, {"by": "an array"}, None], dtype=object), np.zeros(3, dtype=[("o", "O"), ("i", "i4")]))
    things[1] = {"only": ["the", "array", "holds", "me"]}
    with_map = np.memmap(os.path.join(os.path.dirname(sys.argv[1]), "map"), dtype="i4", mode="w+", shape=(100, 30))
    keep(with_map, with_map[5:])
    keep(*[kind(1) for kind in (np.float64, np.float32, np.int8, np.uint16, np.int64, np.bool_, np.complex128, np.longdouble)])
    keep(np.datetime64("2020-01-01"), np.timedelta64(5, "D"), np.str_("text"), np.bytes_(b"text"), KEPT[0])
    keep(np.zeros(2, dtype=[("a", "i4"), ("b", "f8")])[1], np.void(b"void"))
    if hasattr(np, "dtypes") and hasattr(np.dtypes, "StringDType"):
        keep(np.array(["texts", "of any length" * 10], dtype=np.dtypes.StringDType()))


def of_pandas():
    pd = PANDAS
    frame = pd.DataFrame({
        "price": [1.5, 2.5] * 1000, "count": range(2000), "volume": [0.25] * 2000, "name": ["text %d" % i for i in range(2000)],
        "kind": pd.Categorical(["a", "b"] * 1000), "when": pd.date_range("2020-01-01", periods=2000),
        "maybe": pd.array([1, None] * 1000, dtype="Int64")})
    numbered = pd.DataFrame(NUMPY.ones((700, 3)))
    FRAMES.extend([frame, numbered, frame["price"].copy()])
    by_year = pd.MultiIndex.from_product([["it's", "volume"], [2024, 2025]])
    FRAMES.append(pd.DataFrame(NUMPY.ones((300, 4)), columns=by_year))
    FRAMES.append(pd.DataFrame(NUMPY.ones((300, 2)), columns=pd.MultiIndex.from_tuples([("one",), (None,)])))
    FRAMES.append(pd.DataFrame(NUMPY.ones((300, 2)), columns=pd.Index([7, 300], dtype="uint16" if pd.__version__ >= "2" else "int64")))


# ---- the truth ----


def park(path):
    gc.collect()
    for o in gc.get_objects():
        sys.getsizeof(o)
    del o
    gc.collect()
    gc.disable()
    if oracle.FORK() == 0:
        objects = gc.get_objects()
        os.write(1, write_truth(path, objects))
        os._exit(0)
    for _ in oracle.LINES_OF_STDIN:
        pass
    os.read(*oracle.STDIN_AND_LENGTH)


def write_truth(path, objects):
    try:
        truth = measure(objects)  # before what follows imports anything
        with open(path, "w") as out:
            json.dump(truth, out)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
        return b"failed\n"
    return b"ready\n"


def measure(objects):
    sizes = [sys.getsizeof(o) for o in objects]
    seen = set(map(id, objects))
    seen.add(id(objects))
    queue = list(objects)
    for o in queue:
        for referent in gc.get_referents(o) + hidden_by(o):
            if id(referent) not in seen:
                seen.add(id(referent))
                queue.append(referent)
                sizes.append(sys.getsizeof(referent))
    rows = [row for row in map(describe, queue) if row]
    return {"version": sys.version.split()[0], "types": [], "tracked_count": 0, "address": [], "type": [], "marks": {},
            "size": [[hex(id(o)), oracle.type_name(type(o)), size] for o, size in zip(queue, sizes)],
            "arrays": rows, "frames": [describe_frame(frame) for frame in FRAMES],
            "held": [[hex(id(o)), hex(id(held))] for o in queue for held in items_of(o)]}


CODE_PARTS = ["co_consts"] + (["co_linetable", "co_exceptiontable"] if sys.version_info >= (3, 11) else
                              ["co_code", "co_linetable" if sys.version_info >= (3, 10) else "co_lnotab"])


def hidden_by(o):
    """What code and arrays hold, which the collector does not see."""
    if isinstance(o, types.CodeType):
        return [getattr(o, part) for part in CODE_PARTS]
    if NUMPY and isinstance(o, (NUMPY.ndarray, NUMPY.void)) and o.base is not None:
        return [o.base] + items_of(o)
    if type(o).__module__ == "grids" and hasattr(o, "owner"):
        return [o.owner]
    return items_of(o)


def items_of(o):
    """What an array of objects holds."""
    if NUMPY and isinstance(o, NUMPY.ndarray) and o.flags.owndata and o.dtype.kind == "O":
        return o.ravel("K").tolist()
    return []


def describe(o):
    """[address, type, nbytes, owns, base, shape, dtype], or None."""
    try:
        kind = type(o)
        if NUMPY and isinstance(o, NUMPY.ndarray):
            told = [o.nbytes, bool(o.flags.owndata), list(o.shape), str(o.dtype)]
        elif NUMPY and isinstance(o, NUMPY.void):
            told = [o.nbytes, bool(o.flags.owndata), None, str(o.dtype)]
        elif isinstance(o, mmap.mmap):
            told = [len(o), True, [len(o)], "B"]
        elif isinstance(o, (bytes, bytearray)):
            told = [len(o), True, [len(o)], "B"]
        elif isinstance(o, array.array):
            told = [len(o) * o.itemsize, True, [len(o)], o.typecode]
        elif isinstance(o, memoryview):
            told = [product(o.shape) * o.itemsize, False, list(o.shape), o.format]
        elif PICKLE_BUFFER and isinstance(o, PICKLE_BUFFER):
            view = memoryview(o)
            told = [view.nbytes, False, list(view.shape), view.format]
        elif isinstance(o, CDATA):
            view = memoryview(o)
            told = [ctypes.sizeof(o), bool(o._b_needsfree_), list(view.shape or []), view.format]
        elif kind.__name__ == "CThunkObject":
            told = [None, True, [None], None]
        elif kind.__module__ == "grids" and kind.__name__ == "Grid":
            told = [o.rows * o.columns * 8, o.owner is None, [o.rows, o.columns], "d"]
        else:
            return None
    except ValueError:  # a closed map, a released view
        return None
    nbytes, owns, shape, dtype = told
    return [hex(id(o)), oracle.type_name(kind), nbytes, owns, None if owns else base_of(o), shape, dtype]


def product(numbers):
    result = 1
    for n in numbers or ():
        result *= n
    return result


def base_of(o):
    """The address of what owns a view's memory, by what the types themselves tell."""
    while True:
        if id(o) in EXPLICIT_BASES:
            return hex(EXPLICIT_BASES[id(o)])
        if isinstance(o, memoryview):
            following = o.obj if PYTHON_3 else None
        elif PICKLE_BUFFER and isinstance(o, PICKLE_BUFFER):
            following = gc.get_referents(o)[0]
        elif NUMPY and isinstance(o, (NUMPY.ndarray, NUMPY.void)):
            following = None if o.flags.owndata else o.base
        elif isinstance(o, CDATA):
            following = None if o._b_needsfree_ else o._b_base_
        elif type(o).__module__ == "grids":
            following = o.owner
        else:
            return hex(id(o))
        if following is None:
            owns = not isinstance(o, memoryview) and (not isinstance(o, CDATA) or o._b_needsfree_)
            return hex(id(o)) if owns else None
        o = following


def describe_frame(frame):
    """Of each column, its name and nbytes, as pandas says."""
    columns = frame.items() if hasattr(frame, "columns") else [(frame.name, frame)]
    return {"address": hex(id(frame)), "columns": [[str(name), int(column.memory_usage(index=False))] for name, column in columns]}


standard()
maps()
foreign()
if NUMPY:
    of_numpy()
if PANDAS:
    of_pandas()
if "compiled" in sys.argv[2:]:
    keep(grids.Grid(100, 8, "first"), grids.Grid(100, 200, "second"))
    keep(KEPT[-2].row(3).row(0), KEPT[-2].row(99))
park(sys.argv[1])
