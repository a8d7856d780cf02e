"""Tells where its types have their dicts and lists of weak references.

usage: places.py TRUTH    the truth's marks are {"CType.field": place}
"""
import collections
import functools
import sys
import types

import oracle

DICTS = {"PyFunctionObject.func_dict": types.FunctionType, "partialobject.dict": functools.partial}
WEAK_LISTS = {"PyFunctionObject.func_weakreflist": types.FunctionType, "PyMethodObject.im_weakreflist": types.MethodType,
              "PyCodeObject.co_weakreflist": types.CodeType, "PySetObject.weakreflist": set,
              "dequeobject.weakreflist": collections.deque, "partialobject.weakreflist": functools.partial}


def main():
    marks = {name: kind.__dictoffset__ for name, kind in DICTS.items()}
    marks.update((name, kind.__weakrefoffset__) for name, kind in WEAK_LISTS.items())
    oracle.park(sys.argv[1], samples=0, deep_samples=0, marks=marks)


main()
