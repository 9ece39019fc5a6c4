#!/usr/bin/env python3
"""The training step of `bench --train` in PyTorch: same weights, same batch, same loss and optimiser.

Reads the safetensors files that bench writes, runs --warm-up steps whose losses it reports, then times --steps steps in
each of PyTorch's memory formats and prints one JSON object with the better one. The networks are written out here as
functions of named tensors, so that only PyTorch itself is needed.
"""
import argparse
import json
import re
import statistics
import struct
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print(json.dumps({"message": "no comparison: this Python can not import torch (PASSBAND_PYTHON names another)"}))
    sys.exit(0)


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    types = {"F32": torch.float32, "F64": torch.float64, "I32": torch.int32, "I64": torch.int64}
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = torch.frombuffer(data[begin:end], dtype=types[entry["dtype"]]).clone()
        tensors[name] = values.reshape(entry["shape"])
    return tensors


class Network:
    def __init__(self, tensors):
        self.buffers = {n: t for n, t in tensors.items() if re.search(r"running_(mean|var)$|num_batches_tracked$", n)}
        self.parameters = {n: t.requires_grad_() for n, t in tensors.items() if n not in self.buffers}

    def has(self, name):
        return name in self.parameters

    def count(self, pattern):
        """Number of different first groups of `pattern` among the names."""
        return len({m.group(1) for m in (re.match(pattern, n) for n in self.parameters) if m})

    def conv(self, name, x, stride=1, padding=None):
        weight = self.parameters[name + ".weight"]
        padding = weight.shape[-1] // 2 if padding is None else padding
        bias = self.parameters.get(name + ".bias")
        return F.conv2d(x, weight, bias, stride, padding, 1, x.shape[1] // weight.shape[1])

    def bn(self, name, x):
        return F.batch_norm(x, self.buffers[name + ".running_mean"], self.buffers[name + ".running_var"],
                            self.parameters[name + ".weight"], self.parameters[name + ".bias"], True)

    def linear(self, name, x):
        return F.linear(x, self.parameters[name + ".weight"], self.parameters.get(name + ".bias"))

    def layer_norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.parameters[name + ".weight"], self.parameters[name + ".bias"], 1e-6)

    def stem(self, name, x):
        if self.parameters[name + ".weight"].shape[-1] == 7:
            return F.max_pool2d(self.conv(name, x, 2), 3, 2, 1)
        return self.conv(name, x)

    def resnet(self, x):
        x = F.relu(self.bn("bn1", self.stem("conv1", x)))
        for layer in range(1, 5):
            for block in range(self.count(rf"layer{layer}\.(\d+)\.")):
                x = self.block(f"layer{layer}.{block}", x, 2 if layer > 1 and block == 0 else 1)
        return self.linear("fc", x.mean((2, 3)))

    def block(self, name, x, stride):
        skip = self.bn(name + ".downsample.1", self.conv(name + ".downsample.0", x, stride)) \
            if self.has(name + ".downsample.0.weight") else x
        last = 3 if self.has(name + ".conv3.weight") else 2
        for i in range(1, last + 1):
            x = self.bn(f"{name}.bn{i}", self.conv(f"{name}.conv{i}", x, stride if i == last - 1 else 1))
            x = F.relu(x) if i < last else F.relu(x + skip)
        return x

    def preact_resnet(self, x):
        x = self.stem("stem.conv", x)
        for stage in range(4):
            for block in range(self.count(rf"stages\.{stage}\.blocks\.(\d+)\.")):
                x = self.preact_block(f"stages.{stage}.blocks.{block}", x, 2 if stage > 0 and block == 0 else 1)
        x = F.relu(self.bn("norm", x)).mean((2, 3))
        name = next(n for n in self.parameters if n.startswith("head") and n.endswith(".weight"))[:-len(".weight")]
        return F.linear(x, self.parameters[name + ".weight"].flatten(1), self.parameters[name + ".bias"])

    def preact_block(self, name, x, stride):
        last = 3 if self.has(name + ".conv3.weight") else 2
        skip, y = x, x
        for i in range(1, last + 1):
            y = F.relu(self.bn(f"{name}.norm{i}", y))
            if i == 1 and self.has(name + ".downsample.conv.weight"):
                skip = self.conv(name + ".downsample.conv", y, stride)
            y = self.conv(f"{name}.conv{i}", y, stride if i == last - 1 else 1)
        return skip + y

    def vit(self, x):
        patch = self.parameters["patch_embed.proj.weight"].shape[-1]
        x = self.conv("patch_embed.proj", x, patch, 0).flatten(2).transpose(1, 2)
        if self.has("cls_token"):
            x = torch.cat([self.parameters["cls_token"].to(x.dtype).expand(x.shape[0], -1, -1), x], 1)
        x = x + self.parameters["pos_embed"]
        for i in range(self.count(r"blocks\.(\d+)\.")):
            x = x + self.attention(f"blocks.{i}.attn", self.layer_norm(f"blocks.{i}.norm1", x))
            y = F.gelu(self.linear(f"blocks.{i}.mlp.fc1", self.layer_norm(f"blocks.{i}.norm2", x)))
            x = x + self.linear(f"blocks.{i}.mlp.fc2", y)
        if self.has("cls_token"):
            return self.linear("head", self.layer_norm("norm", x)[:, 0])
        if self.has("fc_norm.weight"):
            return self.linear("head", self.layer_norm("fc_norm", x.mean(1)))
        return self.linear("head", self.layer_norm("norm", x).mean(1))

    def attention(self, name, x):
        batch, tokens, width = x.shape
        q, k, v = self.linear(name + ".qkv", x).view(batch, tokens, 3, width // 64, 64).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) * 64 ** -0.5).softmax(-1)
        return self.linear(name + ".proj", (weights @ v).transpose(1, 2).reshape(batch, tokens, width))


def forward_of(model):
    families = {r"resnet\d+": Network.resnet, r"preact_resnet\d+": Network.preact_resnet,
                r"vit_[a-z]+_patch\d+(_gap)?": Network.vit}
    return next((forward for pattern, forward in families.items() if re.fullmatch(pattern, model)), None)


def train(args, forward, memory_format):
    network = Network(read_safetensors(args.weights))
    batch = read_safetensors(args.batch)
    images = batch["images"].permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
    labels = batch["labels"].long()
    for name, parameter in network.parameters.items():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=memory_format)
    # Weight decay as bench has it: on everything but norms, biases and embeddings, which have one dimension or a name.
    flat = [p for n, p in network.parameters.items() if p.dim() == 1 or n in ("pos_embed", "cls_token")]
    rest = [p for n, p in network.parameters.items() if not any(p is q for q in flat)]
    optimizer = torch.optim.SGD([{"params": rest, "weight_decay": 5e-4}, {"params": flat, "weight_decay": 0}],
                                lr=0.01, momentum=0.9, nesterov=True)

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.precision == "bf16"):
            logits = forward(network, images)
        loss = F.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    losses = [step() for _ in range(args.warm_up)]
    times = []
    for _ in range(args.steps):
        begin = time.perf_counter()
        step()
        times.append((time.perf_counter() - begin) * 1e3)
    return {"losses": losses, "step_ms": min(times), "step_ms_median": statistics.median(times), "steps": len(times)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "weights", "batch", "precision"):
        parser.add_argument("--" + name, required=True)
    for name in ("classes", "steps", "warm-up", "threads"):
        parser.add_argument("--" + name, type=int, required=True)
    args = parser.parse_args()
    forward = forward_of(args.model)
    if not forward:
        message = f"no comparison: {args.model} is not written out for PyTorch (ResNets and ViTs are)"
        print(json.dumps({"message": message}))
        return
    torch.set_num_threads(args.threads)
    # A PyTorch without an optimised BLAS is no measure for transformers: say which one it has.
    blas = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    blas = blas.group(1) if blas else "unknown BLAS"
    results = []
    for memory_format, name in ((torch.contiguous_format, "contiguous"), (torch.channels_last, "channels_last")):
        versions = {"torch": torch.__version__, "blas": blas, "memory_format": name}
        results.append({**versions, **train(args, forward, memory_format)})
    print(json.dumps(min(results, key=lambda r: r["step_ms"])))


main()
