#!/usr/bin/env python3
# Makes matlab/ of test_data_published.cpp: SVHN's and Flowers-102's files with few pictures, by
# scipy, whose MAT-files of level 5 are those that MATLAB writes and reads.
#   make_matlab.py      writes the folder matlab/ beside this script
# Made with numpy 2.4.6, scipy 1.17.1. X[y, x, c, n] is (7 y + 3 x + 50 c + 11 n) mod 251. The test
# pictures of SVHN are not compressed, so that both forms are read.
import os

import numpy as np
from scipy.io import savemat

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "matlab")


def pictures(count):
    y, x, c, n = np.ogrid[:32, :32, :3, :count]
    return ((7 * y + 3 * x + 50 * c + 11 * n) % 251).astype(np.uint8)


def save(name, arrays, compressed=True):
    path = os.path.join(FOLDER, name)
    savemat(path, arrays, do_compression=compressed)
    with open(path, "r+b") as file:  # its first 116 bytes are free text with the time in it
        file.write(b"MATLAB 5.0 MAT-file".ljust(116))


os.makedirs(FOLDER, exist_ok=True)
save("train_32x32.mat", {"X": pictures(5), "y": np.array([[1], [9], [10], [2], [10]], np.uint8)})
save("test_32x32.mat", {"X": pictures(2), "y": np.array([[10], [3]], np.uint8)}, compressed=False)
# 12 pictures of the classes 1, 102, 5, ...; as published, labels in double, ids in uint16.
save("imagelabels.mat", {"labels": np.array([[1, 102, 5, 5, 77, 1, 2, 3, 4, 102, 6, 7]], float)})
save("setid.mat", {"trnid": np.array([[2, 1, 4]], np.uint16), "valid": np.array([[12]], np.uint16),
                   "tstid": np.array([[3, 5, 10]], np.uint16)})
