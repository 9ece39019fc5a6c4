"""Images per second that no training step can pass: every operation at the device's measured rates,
nothing else.

A step is a list of operations, each with its arithmetic and the memory it has to move; it takes the
larger of both times. Counted are the fusions that a good implementation has: a batch norm with its
ReLU and sum is one kernel each way that passes twice over its input and keeps a bit mask; GELU and
residual sums read and write once; attention and lambda layers write none of their maps; a lambda
layer takes the order of the fewest products; the optimiser passes once. Forward, input gradient and
weight gradient of a product are operations of their own; the gradient of the pictures is not
computed.
"""

VITS = {
    "vit_tiny_patch4": (192, 12, 4), "vit_small_patch4": (384, 12, 4),
    "vit_small_patch16": (384, 12, 16)
}
# pattern, basic blocks, pre-activation; by block: C convolution, M attention, L lambda
NETWORKS = {
    "resnet18": ("CC.CC.CC.CC", True, False), "resnet50": ("CCC.CCCC.CCCCCC.CCC", False, False),
    "preact_resnet50": ("CCC.CCCC.CCCCCC.CCC", False, True),
    "lambda_resnet50_all": ("LLL.LLLL.LLLLLL.LLL", False, False),
    "alternet_50": ("CCC.CCCM.CCCCCM.CMCM", False, True)
}
WIDTHS, HEADS, HEAD_DIM = (64, 128, 256, 512), (3, 6, 12, 24), 64
LAMBDA_HEADS, LAMBDA_DEPTH, LAMBDA_SCOPE = 4, 16, 23
GRADIENT_BYTES, MASK_BYTES = 4, 1 / 8  # of an element
# Of a parameter: value and two moments read and written, gradient read, bf16 copy written.
OPTIMIZER_BYTES = 30


class Step:
    """The operations of one training step on `batch` pictures, activations of `element` bytes:
    self.operations is a list of (FLOP, bytes)."""

    def __init__(self, batch, element=2):
        self.batch, self.element, self.operations, self.parameters = batch, element, [], 0

    def moves(self, elements, passes):
        """An operation that only moves memory: `elements` per picture, `passes` times in one
        direction or another."""
        self.operations.append((0, self.element * elements * passes * self.batch))

    def product(self, inputs, outputs, macs, weights, first=False, extra=0):
        """A convolution or linear layer: elements and multiply-accumulates per picture; `extra`
        elements are moved by what follows it in the forward pass and by its gradient (a sum,
        GELU)."""
        self.parameters += weights
        flop, touched = 2 * macs * self.batch, self.element * (inputs + outputs) * self.batch
        self.operations += [(flop, touched + self.element * weights)] * (1 if first else 2)
        self.operations.append((flop, touched + GRADIENT_BYTES * weights))
        self.moves(extra, 2)

    def conv(self, side, ins, outs, kernel=1, stride=1, first=False, extra=0):
        out_side = side // stride
        weights = ins * outs * kernel * kernel
        places = out_side * out_side
        self.product(ins * side * side, outs * places, places * weights, weights, first, extra)
        return out_side

    def linear(self, tokens, ins, outs, extra=0, first=False):
        self.product(tokens * ins, tokens * outs, tokens * ins * outs, ins * outs, first, extra)

    def batch_norm(self, side, channels, relu=True, add=False):
        """Forward: x twice, y. Backward: x and dy twice, dx. The sum adds a read, and its gradient
        a write."""
        self.parameters += 2 * channels
        elements, mask = side * side * channels, relu * MASK_BYTES / self.element
        self.moves(elements, 3 + mask + add)
        self.moves(elements, 5 + 2 * mask + add)

    def layer_norm(self, tokens, width):
        """Forward: x, y. Backward: x, dy, dx, and the gradient that comes past the branch."""
        self.parameters += 2 * width
        self.moves(tokens * width, 2)
        self.moves(tokens * width, 4)

    def attention(self, tokens, reach, width):
        """`reach` keys for each query. Forward: q, k, v, o. Backward, which computes the scores
        again: q, k, v, o, do, dq, dk, dv."""
        flop = 4 * tokens * reach * width * self.batch
        self.operations.append((flop, self.element * 4 * tokens * width * self.batch))
        self.operations.append((2.5 * flop, self.element * 8 * tokens * width * self.batch))

    def finish(self):
        self.operations.append((0, OPTIMIZER_BYTES * self.parameters))
        return self

    def megabytes(self):
        """Memory moved per picture."""
        return sum(moved for _, moved in self.operations) / self.batch / 1e6

    def gflop(self):
        return sum(flop for flop, _ in self.operations) / self.batch / 1e9

    def images_per_s(self, flop_per_s, bytes_per_s):
        return self.batch / sum(
            max(flop / flop_per_s, moved / bytes_per_s) for flop, moved in self.operations)


def lambda_pairs(side):
    """Pairs of query and key within the scope."""
    reach = LAMBDA_SCOPE // 2
    return sum(min(side, i + reach + 1) - max(0, i - reach) for i in range(side)) ** 2


def lambda_layer(step, side, width):
    """Projection, norms of q and v, and the layer in the order of the fewest products: scores, then
    values."""
    n, depth, heads, value = side * side, LAMBDA_DEPTH, LAMBDA_HEADS, width // LAMBDA_HEADS
    step.conv(side, width, heads * depth + depth + value)
    step.batch_norm(side, heads * depth, relu=False)
    step.batch_norm(side, value, relu=False)
    content = n * depth * value * (1 + heads)
    position = lambda_pairs(side) * heads * (depth + value)
    touched = n * (heads * depth + depth + value + width)
    weights = LAMBDA_SCOPE ** 2 * depth
    step.parameters += weights
    flop, moved = 2 * (content + position) * step.batch, step.element * touched * step.batch
    step.operations.append((flop, moved))
    step.operations.append((2 * flop, 2 * moved + GRADIENT_BYTES * weights))


def attention_block(step, side, channels, width, heads, window):
    step.batch_norm(side, channels, relu=False)
    step.conv(side, channels, width)
    step.batch_norm(side, width, relu=False)
    inner = heads * HEAD_DIM
    step.conv(side, width, 3 * inner)
    step.attention(side * side, window * window, inner)
    step.conv(side, inner, channels, extra=side * side * channels)


def conv_block(step, side, ins, width, stride, letter, basic, preact):
    out = width if basic else 4 * width
    reshaped = stride > 1 or ins != out
    if preact:
        step.batch_norm(side, ins)
    inner = step.conv(side, ins, width, 3 if basic else 1, stride if basic else 1)
    step.batch_norm(inner, width)
    if letter == "L":
        lambda_layer(step, inner, width)
        if not basic and stride > 1:
            inner //= stride
            step.moves(width * inner * inner, 2 * (1 + stride * stride))
    elif basic:
        step.conv(inner, width, width, 3)
    else:
        inner = step.conv(inner, width, width, 3, stride)
    if not basic:
        step.batch_norm(inner, width)
        step.conv(inner, width, out, extra=out * inner * inner if preact else 0)
    if reshaped:
        step.conv(side, ins, out, 1, stride)
        if not preact:
            step.batch_norm(inner, out, relu=False)
    if not preact:
        step.batch_norm(inner, out, add=True)
    return inner, out


def network(model, side, batch, classes, element):
    pattern, basic, preact = NETWORKS[model]
    step, small = Step(batch, element), side <= 64
    side = step.conv(side, 3, WIDTHS[0], 3 if small else 7, 1 if small else 2, first=True)
    if not preact:
        step.batch_norm(side, WIDTHS[0])
    if not small:
        step.moves(WIDTHS[0] * side * side, 2 * 1.25)
        side //= 2
    channels = WIDTHS[0]
    for stage, word in enumerate(pattern.split(".")):
        for block, letter in enumerate(word):
            stride = 2 if stage and not block else 1
            if letter == "M":
                window = next(w for w in range(min(side, 4 if small else 7), side + 1)
                              if side % w == 0)
                attention_block(step, side, channels, WIDTHS[stage], HEADS[stage], window)
            else:
                side, channels = conv_block(step, side, channels, WIDTHS[stage], stride, letter,
                                            basic, preact)
    if preact:
        step.batch_norm(side, channels)
    step.moves(channels * side * side, 2)  # the mean and its gradient
    step.linear(1, channels, classes)
    return step.finish()


def vit(model, side, batch, classes, element):
    width, depth, patch = VITS[model]
    step, tokens = Step(batch, element), (side // patch) ** 2
    step.linear(tokens, 3 * patch * patch, width, first=True)
    tokens += 1
    step.parameters += tokens * width + width
    for _ in range(depth):
        step.layer_norm(tokens, width)
        step.linear(tokens, width, 3 * width)
        step.attention(tokens, tokens, width)
        step.linear(tokens, width, width, extra=tokens * width / 2)
        step.layer_norm(tokens, width)
        # What GELU's gradient reads.
        step.linear(tokens, width, 4 * width, extra=tokens * 4 * width)
        step.linear(tokens, 4 * width, width, extra=tokens * width / 2)
    step.layer_norm(tokens, width)
    step.linear(1, width, classes)
    return step.finish()


def training_step(model, side, batch, classes, element=2):
    """The operations of a step of one of our presets, activations of `element` bytes; None for
    other models."""
    if model in NETWORKS:
        return network(model, side, batch, classes, element)
    return vit(model, side, batch, classes, element) if model in VITS else None
