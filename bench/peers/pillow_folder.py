"""How long Pillow takes to decode a folder of images with two worker processes, beside what

    DATADROPOUT_TESTING_FOLDER=DIR go test ./dataset -run XXX -bench OpenFolder

measures: the files are read, decoded and handed over as bytes. Run the two in turn on the same folder.

    python3 pillow_folder.py DIR
"""
import glob, sys, time
from multiprocessing import Pool

from PIL import Image


def decode(path):
    with Image.open(path) as image:
        return image.tobytes()


if __name__ == "__main__":
    files = sorted(glob.glob(sys.argv[1] + "/*/*"))
    began = time.time()
    with Pool(2) as pool:
        decoded = pool.map(decode, files, chunksize=100)
    print(f"{len(decoded)} images, {time.time() - began:.2f} s")
