"""One training step of the network «stream-tcn» in PyTorch, timed on request.

The Rust side of this benchmark (training.rs beside this file) starts this script, sends one line of JSON a request and
reads one line back:

    {"mels", "classes", "channels", "kernel", "dilations", "decay", "batch", "time", "task", "threads"}
        builds the network and a batch, tries each way to write it and keeps the quickest; answers its name
    {"steps": n}
        runs n steps; answers the seconds that they took

A step is what the trainer does: forward, loss, backward, clipping of the gradient's norm, AdamW, and the moving
average of the weights.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Shifted(nn.Module):
    """The depthwise filter as a sum of shifted products; tensors are [batch, time, channel]."""

    def __init__(self, channels, kernel, dilation):
        super().__init__()
        self.taps = nn.Parameter(torch.rand(kernel, channels) * 2 / kernel - 1 / kernel)
        self.dilation = dilation

    def forward(self, x):
        kernel, time_ = self.taps.shape[0], x.shape[1]
        padded = F.pad(x, (0, 0, (kernel - 1) * self.dilation, 0))
        total = padded[:, :time_] * self.taps[0]
        for tap in range(1, kernel):
            start = tap * self.dilation
            total = torch.addcmul(total, padded[:, start : start + time_], self.taps[tap])
        return total


class Convolved(nn.Module):
    """The depthwise filter as a grouped one-dimensional convolution."""

    def __init__(self, channels, kernel, dilation):
        super().__init__()
        self.taps = nn.Parameter(torch.rand(channels, 1, kernel) * 2 / kernel - 1 / kernel)
        self.dilation = dilation

    def forward(self, x):
        channels, _, kernel = self.taps.shape
        padded = F.pad(x.transpose(1, 2), ((kernel - 1) * self.dilation, 0))
        return F.conv1d(padded, self.taps, dilation=self.dilation, groups=channels).transpose(1, 2)


class Block(nn.Module):
    def __init__(self, filter_, channels, kernel, dilation):
        super().__init__()
        self.filter = filter_(channels, kernel, dilation)
        self.widen = nn.Linear(channels, channels)
        self.narrow = nn.Linear(channels, channels)

    def forward(self, x):
        return x + self.narrow(F.relu(self.widen(self.filter(x))))


class StreamTcn(nn.Module):
    def __init__(self, shape, filter_):
        super().__init__()
        channels = shape["channels"]
        self.input = nn.Linear(shape["mels"], channels)
        self.blocks = nn.Sequential(*(Block(filter_, channels, shape["kernel"], d) for d in shape["dilations"]))
        self.remembers = shape["decay"] is not None
        self.mix = nn.Linear(2 * channels if self.remembers else channels, channels)
        self.head = nn.Linear(channels, shape["classes"])
        if not self.remembers:
            return
        age = torch.arange(shape["time"])[:, None] - torch.arange(shape["time"])[None, :]
        triangle = (1 - shape["decay"]) * shape["decay"] ** age.clamp(min=0) * (age >= 0)
        self.register_buffer("triangle", triangle.float())

    def forward(self, x):
        x = F.relu(self.blocks(self.input(x)))
        if self.remembers:
            x = torch.cat([x, torch.matmul(self.triangle, x)], 2)
        return self.head(F.relu(self.mix(x)))


class Convolutional(nn.Module):
    """The same network with every layer a convolution, in PyTorch's own layout [batch, channel, time]."""

    def __init__(self, shape):
        super().__init__()
        channels, self.kernel = shape["channels"], shape["kernel"]
        self.input = nn.Conv1d(shape["mels"], channels, 1)
        self.filters = nn.ModuleList(
            nn.Conv1d(channels, channels, self.kernel, dilation=d, groups=channels, bias=False)
            for d in shape["dilations"]
        )
        self.widen = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in shape["dilations"])
        self.narrow = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in shape["dilations"])
        self.remembers = shape["decay"] is not None
        self.mix = nn.Conv1d(2 * channels if self.remembers else channels, channels, 1)
        self.head = nn.Conv1d(channels, shape["classes"], 1)
        if not self.remembers:
            return
        age = torch.arange(shape["time"])[:, None] - torch.arange(shape["time"])[None, :]
        triangle = (1 - shape["decay"]) * shape["decay"] ** age.clamp(min=0) * (age >= 0)
        self.register_buffer("triangle", triangle.float().T.contiguous())

    def forward(self, x):
        x = self.input(x.transpose(1, 2))
        for filter_, widen, narrow in zip(self.filters, self.widen, self.narrow):
            padded = F.pad(x, ((self.kernel - 1) * filter_.dilation[0], 0))
            x = x + narrow(F.relu(widen(filter_(padded))))
        x = F.relu(x)
        if self.remembers:
            x = torch.cat([x, torch.matmul(x, self.triangle)], 1)
        return self.head(F.relu(self.mix(x))).transpose(1, 2)


def loss_of(logits, batch, task):
    def mean_over(each, counts):
        return (each * counts).sum() / (counts.sum() + 1e-6)

    against_others = mean_over(-(F.log_softmax(logits, 2) * batch["distribution"]).sum(2, keepdim=True), batch["one_of"])
    if task == "technique":
        return against_others
    each = F.binary_cross_entropy_with_logits(logits, batch["targets"], reduction="none")
    return against_others + mean_over(each, batch["known"])


def make_batch(shape):
    size, time_, classes = shape["batch"], shape["time"], shape["classes"]
    which = torch.randint(classes, (size, time_))
    targets = F.one_hot(which, classes).float()
    return {
        "frames": torch.randn(size, time_, shape["mels"]),
        "targets": targets,
        "distribution": 0.95 * targets + 0.05 / classes,
        "one_of": torch.ones(size, time_, 1),
        "known": torch.ones(size, time_, classes),
    }


class Training:
    def __init__(self, net, shape, batch):
        self.net, self.batch, self.task = net, batch, shape["task"]
        self.parameters = list(net.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-3, weight_decay=0.01, fused=True)
        self.averaged = [p.detach().clone() for p in self.parameters]

    def step(self):
        loss = loss_of(self.net(self.batch["frames"]), self.batch, self.task)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.averaged, self.parameters, 0.002)

    def seconds(self, steps):
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        return time.perf_counter() - start


def quickest(shape):
    torch.manual_seed(1)
    batch = make_batch(shape)
    ways = {
        "shifted products": Training(StreamTcn(shape, Shifted), shape, batch),
        "grouped convolution": Training(StreamTcn(shape, Convolved), shape, batch),
        "convolutions throughout": Training(Convolutional(shape), shape, batch),
    }
    best = {name: float("inf") for name in ways}
    for training in ways.values():
        training.seconds(3)
    # In turns, so that a busy machine is as unkind to one as to the other.
    for _ in range(4):
        for name, training in ways.items():
            best[name] = min(best[name], training.seconds(3) / 3)
    name = min(best, key=best.get)
    times = ", ".join(f"{way} {1000 * s:.1f} ms" for way, s in best.items())
    return ways[name], f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads: {times}"


def main():
    training = None
    for line in sys.stdin:
        request = json.loads(line)
        if "steps" in request:
            answer = training.seconds(request["steps"])
        else:
            torch.set_num_threads(request["threads"])
            training, answer = quickest(request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
