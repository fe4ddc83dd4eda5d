"""Writes the files beside it that tests of the readers of CIFAR and SVHN read, as the originals were written.

  python2 generate.py    the pickles that cPickle of Python 2 writes, as the published files are
  python3 generate.py    pickles of later protocols and MAT files; needs numpy and scipy

Pixel k of plane c of record i is i + 7k + 50c, modulo 256.
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PLANE = 32 * 32


def pixels(n):
    return bytearray((i + 7 * k + 50 * c) % 256 for i in range(n) for c in range(3) for k in range(PLANE))


def write(folder, name, value, dump):
    folder = os.path.join(HERE, folder)
    if not os.path.isdir(folder):
        os.makedirs(folder)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(dump(value))


def python2():
    import cPickle
    import imp

    # cPickle writes an array of numpy as calls of these, by what __reduce__ returns; numpy itself is not needed.
    numpy, core, multiarray = (imp.new_module(n) for n in ("numpy", "numpy.core", "numpy.core.multiarray"))
    sys.modules.update({"numpy": numpy, "numpy.core": core, "numpy.core.multiarray": multiarray})

    def _reconstruct(subtype, shape, code):
        raise NotImplementedError

    class dtype(object):
        def __init__(self, *args):
            pass

        def __reduce__(self):
            return dtype, ("u1", 0, 1), (3, "|", None, None, None, -1, -1, 0)

        def __setstate__(self, state):
            pass

    class ndarray(object):
        def __init__(self, n):
            self.n = n

        def __reduce__(self):
            return _reconstruct, (ndarray, (0,), "b"), (1, (self.n, 3 * PLANE), dtype(), False, bytes(pixels(self.n)))

    _reconstruct.__module__, dtype.__module__, ndarray.__module__ = "numpy.core.multiarray", "numpy", "numpy"
    multiarray._reconstruct, numpy.dtype, numpy.ndarray = _reconstruct, dtype, ndarray

    def dump(v):
        return cPickle.dumps(v, 2)

    ten, hundred = "cifar-10-batches-py", "cifar-100-python"
    write(ten, "data_batch_2", {"batch_label": "training batch 2 of 5", "labels": [3, 9], "data": ndarray(2),
                                "filenames": ["cat_s_000001.png", "truck_s_000002.png"]}, dump)
    write(ten, "test_batch", {"batch_label": "testing batch 1 of 1", "labels": [1], "data": ndarray(1),
                              "filenames": ["car_s_000003.png"]}, dump)
    names = "airplane automobile bird cat deer dog frog horse ship truck".split()
    write(ten, "batches.meta", {"num_cases_per_batch": 10000, "label_names": names, "num_vis": 3072}, dump)
    write(hundred, "train", {"filenames": ["worm_s_1.png", "apple_s_2.png"], "batch_label": "training batch 1 of 1",
                             "fine_labels": [99, 0], "coarse_labels": [4, 11], "data": ndarray(2)}, dump)
    write(hundred, "test", {"filenames": ["mushroom_s_1.png"], "batch_label": "testing batch 1 of 1",
                            "fine_labels": [51], "coarse_labels": [19], "data": ndarray(1)}, dump)


def python3():
    import pickle

    import numpy
    from scipy import io

    def records(n):
        return numpy.frombuffer(bytes(pixels(n)), dtype=numpy.uint8).reshape(n, 3 * PLANE)

    ten = "cifar-10-batches-py"
    write(ten, "data_batch_1", {b"labels": [0, 7], b"data": records(2).copy()}, lambda v: pickle.dumps(v, protocol=3))
    write(ten, "data_batch_3", {"labels": [5, 2, 8], "data": numpy.asfortranarray(records(3))}, lambda v: pickle.dumps(v, protocol=4))

    for name, n, labels, options in (("train_32x32.mat", 3, numpy.array([[10], [1], [9]], dtype=numpy.uint8), {"do_compression": True}),
                                     ("test_32x32.mat", 2, numpy.array([[4.0], [10.0]]), {})):
        images = records(n).reshape(n, 3, 32, 32).transpose(2, 3, 1, 0)  # height, width, channels, images
        folder = os.path.join(HERE, "svhn")
        os.makedirs(folder, exist_ok=True)
        io.savemat(os.path.join(folder, name), {"X": images, "y": labels}, **options)


if sys.version_info[0] == 2:
    python2()
else:
    python3()
