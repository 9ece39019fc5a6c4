#!/usr/bin/env python3
# Makes tar/ of test_data_shards.cpp: archives in every format that Python's tarfile and GNU tar
# write, and tar/listing.json, where the content of each member lies by Python's tarfile.
#   make_tar.py      writes them beside this script
# Made with Python 3.11 and GNU tar 1.34.
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tar")
LONG = "long/" + "/".join("part%02d" % i for i in range(30)) + "/end.jpg"  # 218 bytes
FITS = "d" * 60 + "/" + "n" * 95 + ".png"  # needs the prefix of ustar
ACCENTS = "caf\u00e9/\u732b.jpg"


def by_python(name, form):
    with tarfile.open(os.path.join(FOLDER, name), "w", format=form, encoding="utf-8") as tar:
        def add(path, size, kind=tarfile.REGTYPE, **more):
            info = tarfile.TarInfo(path)
            info.size, info.type = size, kind
            for key, value in more.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(b"x" * size))
        add("folder", 0, tarfile.DIRTYPE)
        add("a.jpg", 1)
        add("a.cls", 512)
        add("empty.json", 0)
        add(FITS, 513)
        add("/absolute/../up.png", 3)
        add("link.jpg", 0, tarfile.SYMTYPE, linkname="a.jpg")
        add("hard.jpg", 0, tarfile.LNKTYPE, linkname="a.jpg")
        add("pipe", 0, tarfile.FIFOTYPE)
        if form != tarfile.USTAR_FORMAT:
            add(LONG, 700)
            add("far.jpg", 0, tarfile.SYMTYPE, linkname=LONG)
        add(ACCENTS, 5)
        if form == tarfile.PAX_FORMAT:
            add("comment.txt", 9, pax_headers={"comment": "of no meaning", "size": "9"},
                mtime=1.5)
        add("last.jpg", 1025)


def by_gnu_tar(name, form):
    with tempfile.TemporaryDirectory() as place:
        paths = ["b.jpg", "b.cls"] + ([] if form == "v7" else [FITS])
        if form in ("gnu", "oldgnu", "posix"):
            paths.append(LONG)
        for i, path in enumerate(paths):
            full = os.path.join(place, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as file:
                file.write(b"y" * (100 * i + 1))
        sparse = form in ("gnu", "posix")
        if sparse:  # data between holes, in more pieces than a header of GNU's has room for
            with open(os.path.join(place, "holes.bin"), "wb") as file:
                for i in range(6):
                    file.seek(i * 16384)
                    file.write(b"z")
            paths.append("holes.bin")
        with open(os.path.join(place, "z.png"), "wb") as file:
            file.write(b"end")
        subprocess.run(["tar", "-C", place, f"--format={form}", "--sort=name", "--mtime=@0",
                        "--owner=0", "--group=0", "--numeric-owner", "-b", "1",
                        *(["-S"] if sparse else []), "-cf", os.path.join(FOLDER, name), *paths,
                        "z.png"], check=True)


def listing(path):
    members = []
    with tarfile.open(path, encoding="utf-8", errors="surrogateescape") as tar:
        for m in tar:
            if m.isdir():
                continue
            plain = m.isreg() and not m.issparse()
            members.append({"name": m.name, "file": plain,
                            **({"offset": m.offset_data, "bytes": m.size} if plain else {})})
    return members


shutil.rmtree(FOLDER, ignore_errors=True)
os.makedirs(FOLDER)
by_python("python-ustar.tar", tarfile.USTAR_FORMAT)
by_python("python-gnu.tar", tarfile.GNU_FORMAT)
by_python("python-pax.tar", tarfile.PAX_FORMAT)
for form in ("v7", "oldgnu", "gnu", "ustar", "posix"):
    by_gnu_tar(f"tar-{form}.tar", form)
with open(os.path.join(FOLDER, "listing.json"), "w") as file:
    json.dump({name: listing(os.path.join(FOLDER, name)) for name in sorted(os.listdir(FOLDER))
               if name.endswith(".tar")}, file, indent=1)
    file.write("\n")
