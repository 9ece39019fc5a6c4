#!/usr/bin/env python3
"""Pictures a second that `bench --loader` makes of a folder and of tar shards, beside PyTorch's
ImageFolder with its DataLoader and the webdataset package, on the same files in one run.

    peer_loader.py FOLDER SHARDS --bench ./bench [--threads 2] [--rounds 5] [--size 128]
                   [--batch 16]

FOLDER holds train/, SHARDS is a pattern of shards made from it by `./train --pack`. All make random
resized crops, flips and normalised f32 batches with as many threads (PyTorch: worker processes).
The rounds of all are interleaved. Rates are of wall time and, as other programs may take the
processor, of processor time of all that was started. Needs PyTorch, torchvision, Pillow; webdataset
if it is there. Prints one JSON object."""
import argparse
import json
import resource
import statistics
import subprocess
import time

import torch
import torchvision
from torchvision import transforms


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("shards")
    parser.add_argument("--bench", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    return parser.parse_args()


def transform(size):
    return transforms.Compose([
        transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])


def image_folder(args):
    data = torchvision.datasets.ImageFolder(args.folder + "/train", transform(args.size))
    return torch.utils.data.DataLoader(data, args.batch, shuffle=True, num_workers=args.threads,
                                       drop_last=True)


def web_dataset(args):
    import webdataset
    data = (webdataset.WebDataset(args.shards, shardshuffle=100).shuffle(1000).decode("pil")
            .to_tuple("jpg;png", "cls").map_tuple(transform(args.size), lambda x: x)
            .batched(args.batch))
    return webdataset.WebLoader(data, batch_size=None, num_workers=args.threads)


def processor_seconds():
    return sum(u.ru_utime + u.ru_stime for u in map(
        resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def epoch(loader):
    """Pictures a second of an epoch, and of a second of processor time. Its workers end with it."""
    begin, used, count = time.monotonic(), processor_seconds(), 0
    for pictures, _ in loader:
        count += len(pictures)
    del pictures
    return count / (time.monotonic() - begin), count / (processor_seconds() - used)


def passband(args, data):
    """Rates by stage."""
    out = subprocess.run([args.bench, "--loader", data, "--img-size", str(args.size), "--threads",
                          str(args.threads), "--batch-size", str(args.batch), "--json"],
                         check=True, capture_output=True, text=True).stdout
    rows = json.loads(out)["results"]
    return {row["stage"]: (row["pictures_per_s_median"], row["pictures_per_core_s"])
            for row in rows if row["threads"] == args.threads}


def main():
    args = parse()
    peers = {"PyTorch ImageFolder": image_folder}
    try:
        import webdataset
        peers[f"webdataset {webdataset.__version__}"] = web_dataset
    except ImportError:
        pass
    rates = {}
    for _ in range(args.rounds):
        for name, make in peers.items():
            rates.setdefault(name, []).append(epoch(make(args)))
        for kind, data in (("folder", args.folder), ("shards", args.shards)):
            for stage, rate in passband(args, data).items():
                rates.setdefault(f"passband {kind}: {stage}", []).append(rate)
    rows = []
    for name, of in rates.items():
        wall, core = zip(*of)
        rows.append({"loader": name,
                     "pictures_per_s": [round(statistics.median(wall)), round(min(wall)),
                                        round(max(wall))],
                     "pictures_per_core_s": [round(statistics.median(core)), round(min(core)),
                                             round(max(core))]})
    print(json.dumps({"threads": args.threads, "rounds": args.rounds, "size": args.size,
                      "batch": args.batch, "torch": torch.__version__,
                      "torchvision": torchvision.__version__,
                      "median_least_most": rows}, indent=1))


if __name__ == "__main__":
    main()
