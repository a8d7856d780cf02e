"""PyTorch's tensors and storages, of which some share memory.

usage: tensors.py TRUTH    {"tensors": [[address, type, bytes of its storage, whether nobody else has that, shape or null]]}
"""
import json
import os
import sys

import torch

KEPT = [torch.zeros(1000, 1000), torch.ones(300, dtype=torch.float64), torch.nn.Parameter(torch.ones(77, 3)), torch.tensor(5),
        torch.zeros((2, 3, 4, 5, 6), dtype=torch.int8), torch.empty(0), torch.nn.Linear(30, 20).weight]
KEPT += [KEPT[0][5:], KEPT[0].T, KEPT[1].storage()._storage, KEPT[4].reshape(720)]


def storage_of(o):
    return o.storage()._storage if isinstance(o, torch.Tensor) else o


def describe(o):
    start = storage_of(o).data_ptr()
    alone = [storage_of(other).data_ptr() for other in KEPT].count(start) == 1
    return [hex(id(o)), type(o).__module__ + "." + type(o).__qualname__, storage_of(o).nbytes(), alone,
            list(o.shape) if isinstance(o, torch.Tensor) else None]


with open(sys.argv[1], "w") as out:
    json.dump({"types": [], "tracked_count": 0, "address": [], "type": [], "size": [], "marks": {},
               "tensors": [describe(o) for o in KEPT if storage_of(o).nbytes()]}, out)
os.write(1, b"ready\n")
os.read(0, 1)
