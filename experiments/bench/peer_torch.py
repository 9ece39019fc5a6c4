#!/usr/bin/env python3
"""The training step of `bench --train` in PyTorch: same weights, same batch, same loss and
optimiser.

Reads the safetensors files that bench writes. Each mode starts from those weights, runs --warm-up
steps whose losses it reports, then times --steps steps; what fails in a mode is reported as its
message, and the next one follows. Prints one JSON object with all modes. The networks are written
out in peer_networks.py, so only PyTorch itself is needed.

On the CPU the modes are PyTorch's two memory formats, and `compile`: channels_last through
torch.compile. On a GPU: `eager` as written; `tuned` with channels_last, cudnn.benchmark and the
fused optimiser; `compile` and `reduce-overhead` (CUDA graphs), which are `tuned` through
torch.compile; --autotune adds `max-autotune`. --modes names those that are wanted. bf16 is
autocast, tf32 is allowed where asked for.
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
except ImportError:
    message = "no comparison: this Python can not import torch (PASSBAND_PYTHON names another)"
    print(json.dumps({"message": message}))
    sys.exit(0)
import torch.nn.functional as F

from peer_networks import network_of

BLOCKS, WARM_SECONDS = 5, 3  # on a GPU: blocks of --steps steps, waited for once each


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


def optimizer_of(network, fused):
    # Weight decay as bench has it: not on norms, biases and tables of positions.
    tables = ("pos_embed", "cls_token", "relative_position_bias_table")
    flat, rest = [], []
    for name, parameter in network.named_parameters():
        (flat if parameter.dim() == 1 or name.endswith(tables) else rest).append(parameter)
    groups = [{"params": rest, "weight_decay": 5e-4}, {"params": flat, "weight_decay": 0}]
    options = {"lr": 0.01, "momentum": 0.9, "nesterov": True}
    try:
        return torch.optim.SGD(groups, **options, **({"fused": True} if fused else {}))
    except (TypeError, RuntimeError):  # an older PyTorch: the next best
        return torch.optim.SGD(groups, **options, foreach=True)


class Step:
    def __init__(self, args, mode):
        tuned = mode not in ("eager", "contiguous")
        layout = torch.channels_last if tuned else torch.contiguous_format
        batch = read_safetensors(args.batch)
        images = batch["images"].permute(0, 3, 1, 2).to(args.device)
        self.images = images.contiguous(memory_format=layout)
        self.labels = batch["labels"].long().to(args.device)
        self.network = network_of(read_safetensors(args.weights),
                                  self.images.shape[-1]).to(args.device)
        self.network.to(memory_format=layout)
        self.optimizer = optimizer_of(self.network, tuned and args.on_gpu)
        torch.backends.cudnn.benchmark = tuned
        self.kind, self.bf16 = "cuda" if args.on_gpu else "cpu", args.precision == "bf16"
        self.compiled = self.forward
        if mode not in ("eager", "tuned", "contiguous", "channels_last"):
            self.compiled = torch.compile(self.forward,
                                          mode="default" if mode == "compile" else mode)

    def forward(self, images, labels):
        with torch.autocast(self.kind, dtype=torch.bfloat16, enabled=self.bf16):
            logits = self.network(images)
        return F.cross_entropy(logits.float(), labels)

    def __call__(self):
        """Returns the loss before the update, on its device."""
        loss = self.compiled(self.images, self.labels)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()


def time_steps(args, step):
    """Milliseconds of a step: of each one on the CPU, the means of blocks on a GPU."""
    synchronize = torch.cuda.synchronize if args.on_gpu else lambda: None
    end = time.perf_counter() + WARM_SECONDS
    while args.on_gpu and time.perf_counter() < end:
        step().item()
    times, count = [], args.steps if args.on_gpu else 1
    for _ in range(BLOCKS if args.on_gpu else args.steps):
        synchronize()
        begin = time.perf_counter()
        for _ in range(count):
            step()
        synchronize()
        times.append((time.perf_counter() - begin) * 1e3 / count)
    return times


def measure(args, mode):
    if args.on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    begin = time.perf_counter()
    step = Step(args, mode)
    losses = [step().item()]
    first = time.perf_counter() - begin
    losses += [step().item() for _ in range(args.warm_up - 1)]
    times = time_steps(args, step)
    result = {
        "mode": mode, "losses": losses, "step_ms": min(times),
        "step_ms_median": statistics.median(times), "step_ms_max": max(times), "first_step_s": first
    }
    if args.on_gpu:
        result["peak_memory_mb"] = torch.cuda.max_memory_allocated() >> 20
        result["reserved_memory_mb"] = torch.cuda.max_memory_reserved() >> 20
    return result


def try_mode(args, mode):
    try:
        return measure(args, mode)
    except Exception as error:  # of a compiler or a driver: whatever it is, the next mode may work
        lines = [line for line in str(error).splitlines() if line.strip()]
        return {
            "mode": mode, "message": f"{type(error).__name__}: {lines[0][:300] if lines else ''}"
        }
    finally:
        if hasattr(torch, "_dynamo"):
            torch._dynamo.reset()


def modes_of(args):
    if args.modes:
        return args.modes.split(",")
    compiled = ["compile"] if hasattr(torch, "compile") else []
    if not args.on_gpu:
        return ["contiguous", "channels_last"] + compiled
    graphs = ["reduce-overhead"] + ["max-autotune"] * args.autotune
    return ["eager", "tuned"] + compiled + (graphs if compiled else [])


def versions(args):
    # A PyTorch without an optimised BLAS is no measure for transformers: say which one it has.
    blas = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    result = {"torch": torch.__version__, "blas": blas.group(1) if blas else "unknown BLAS"}
    if args.on_gpu:
        result.update(cuda=torch.version.cuda, cudnn=torch.backends.cudnn.version(),
                      gpu=torch.cuda.get_device_name())
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("weights", "batch", "precision"):
        parser.add_argument("--" + name, required=True)
    for name in ("steps", "warm-up", "threads"):
        parser.add_argument("--" + name, type=int, required=True)
    parser.add_argument("--device", default="cpu", help="cpu or cuda:n")
    parser.add_argument("--modes", help="of those above, separated by commas")
    parser.add_argument("--autotune", action="store_true")
    args = parser.parse_args()
    args.on_gpu = args.device.startswith("cuda")
    if args.on_gpu and not torch.cuda.is_available():
        print(json.dumps({"message": f"no comparison: PyTorch {torch.__version__} sees no GPU"}))
        return
    torch.set_num_threads(args.threads)
    if args.on_gpu:
        torch.cuda.set_device(args.device)
    tf32 = args.precision != "f32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    modes = [try_mode(args, mode) for mode in modes_of(args)]
    print(json.dumps({**versions(args), "modes": modes}))


main()
