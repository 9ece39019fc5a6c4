#!/usr/bin/env python3
"""Weights that `train` saves load strictly into timm's and torchvision's networks, and theirs into
ours, where PyTorch, timm and torchvision are installed. Usage: test_peer_files.py BUILD_DIR"""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import timm
    import torch
    import torchvision
    from safetensors.torch import load_file, save_file
except ImportError as missing:
    print(f"skipped: {missing.name} is not installed")
    sys.exit(77)

# Ours, the peer's network of 10 classes, and the side of the pictures.
FAMILIES = (
    ("resnet18", lambda: torchvision.models.resnet18(num_classes=10), 72),
    ("resnet50", lambda: timm.create_model("resnet50", num_classes=10), 72),
    ("resnext50", lambda: timm.create_model("resnext50_32x4d", num_classes=10), 72),
    ("resnetv2_50x1_bit", lambda: timm.create_model("resnetv2_50x1_bit", num_classes=10), 72),
    ("lambda_resnet26rpt_256",
     lambda: timm.create_model("lambda_resnet26rpt_256", num_classes=10), 256),
    ("vit_tiny_patch16",
     lambda: timm.create_model("vit_tiny_patch16_224", num_classes=10, img_size=64), 64),
    ("deit_tiny_patch16",
     lambda: timm.create_model("deit_tiny_patch16_224", num_classes=10, img_size=64), 64),
    ("deit_tiny_distilled_patch16",
     lambda: timm.create_model("deit_tiny_distilled_patch16_224", num_classes=10, img_size=64), 64),
    ("mixer_small_patch16", lambda: timm.create_model("mixer_s16_224", num_classes=10), 224),
    ("twins_svt_small", lambda: timm.create_model("twins_svt_small", num_classes=10), 224),
    ("pit_ti", lambda: timm.create_model("pit_ti_224", num_classes=10), 224),
    ("swin_tiny", lambda: timm.create_model("swin_tiny_patch4_window7_224", num_classes=10), 224),
)


def train(folder, *words):
    done = subprocess.run([BUILD / "train", "--data", "shapes", "--shapes-train", "2",
                           "--shapes-test", "1", "--eval-batch-size", "1", "--batch-size", "2",
                           "--steps", "1", "--threads", "1", *map(str, words)],
                          cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "last" / "last.safetensors"


class PeerFiles(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="passband-peers-"))
        (self.folder / "runs").mkdir()

    def test_weights_travel_both_ways(self):
        for ours, make, side in FAMILIES:
            with self.subTest(ours):
                file = train(self.folder, "--model", ours, "--img-size", side)
                peer = make()
                peer.load_state_dict(load_file(file), strict=True)
                # And back: whatever PyTorch drew arrives as it is.
                peer = make()
                torch.save({"state_dict": peer.state_dict()}, self.folder / "theirs.pth")
                back = train(self.folder, "--model", ours, "--img-size", side, "--lr", 0,
                             "--weights", self.folder / "theirs.pth")
                saved = load_file(back)
                for name, value in peer.state_dict().items():
                    if "running_" not in name and "num_batches" not in name:
                        self.assertTrue(torch.equal(saved[name], value), name)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main()
