"""Training and sampling in PyTorch with the configuration, the initial weights and the random
numbers of a run of this project (bench/evidence).

    python3 experiment.py train   --config FILE --initial FILE --out FOLDER [--device cuda]
    python3 experiment.py sample  --model FILE --times LIST --num N --out FILE [--device cuda]
    python3 experiment.py classifier --data FOLDER --pad-to 32 --out FILE [--device cuda]

`train` writes stats.jsonl and the averaged weights, model.safetensors; `sample` an npz file of
bytes; `classifier` the weights of a small classifier of the training images. Everything is
computed in float32 without TF32; times, coefficients and the samplers' states are float64.
"""

import argparse
import io
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from classifier import train_classifier
from files import read_images, read_safetensors, replace, write_safetensors
from network import UNet
from step import Trainer, input_scale, mapping, parameterization
from threefry import derive_key, normals, open_uniform, permutation, threefry2x32

# Random numbers that are drawn together: launches cost more than arithmetic.
DRAWN = {"cuda": 2**22, "cpu": 2**18}

# What step.py does not know, and the value that it takes for granted.
FIXED = {
    "imm": {
        "interpolant": "fm",
        "timeConditioning": "identity",
        "mapping": "eta",
        "minGap": None,
        "etaRange": None,
        "weighting": "elbo",
        "kernel": "laplace",
        "bandwidth": 1,
        "target": "current",
        "labelDropoutPasses": "student",
    },
    "optimizer": {"warmup": 0, "clip": None},
    "train": {"precision": "float32"},
    "data": {"mirror": False, "augment": None},
    "network": {
        "type": "song_unet",
        "dropout": 0,
        "augmentDim": 0,
        "embeddingType": "positional",
        "encoderType": "standard",
        "decoderType": "standard",
        "resampleFilter": [1, 1],
        "sEmbed": True,
    },
}


def check_config(config):
    for part, settings in FIXED.items():
        for key, value in settings.items():
            found = config[part][key]
            if found != value:
                raise SystemExit(f"{part}.{key} must be {value} here, but it is {found}")
    if not config["network"]["labelDim"]:
        raise SystemExit("the data must have labels here, and data.labels be true")


class Stream:
    """Images, labels, times and noise of every step, as the project's trainer draws them."""

    def __init__(self, config, device):
        self.imm, self.batch = config["imm"], config["train"]["batch"]
        self.seed, self.device = config["train"]["seed"], device
        images, labels = read_images(config["data"]["source"], "train", config["data"]["padTo"])
        self.images, self.labels = torch.from_numpy(images.copy()).to(device), labels
        self.scaled = torch.arange(256, dtype=torch.float64).div(127.5).sub(1).float().to(device)
        self.classes = config["network"]["labelDim"]
        self.epoch, self.order = -1, None

    def item(self, position):
        epoch = position // len(self.labels)
        if epoch != self.epoch:
            key = derive_key(self.seed, "epoch", epoch)
            self.epoch, self.order = epoch, permutation(len(self.labels), key)
        return self.order[position % len(self.labels)]

    def steps(self, first, count):
        """Arguments of Trainer.gradients for `count` steps from number `first` on."""
        imm, batch = self.imm, self.batch
        numbers = range(first, first + count)

        def keys(purpose):
            return [derive_key(self.seed, "train", purpose, step) for step in numbers]

        at = np.array([self.item(i) for i in range(first * batch, (first + count) * batch)])
        x = self.scaled[self.images[torch.from_numpy(at).to(self.device)].long()]
        x = x.view(count, batch, *x.shape[1:])
        noise = normals(keys("noise"), batch, x[0, 0].numel(), self.device).view(x.shape)

        groups = batch // imm["M"]
        low, high = imm["eps"], imm["T"]
        t = [low + open_uniform(key, 0, groups) * (high - low) for key in keys("times")]
        s = [low + open_uniform(k, 1, groups) * (u - low) for k, u in zip(keys("times"), t)]
        s, t = (torch.from_numpy(np.stack(u)) for u in (s, t))
        r = mapping(imm, s, t)

        labels = self.labels[at].reshape(count, batch)
        words = np.stack([threefry2x32(*k, 0, np.arange(batch))[0] for k in keys("labels")])
        dropped = words * 2.0**-32 < imm["labelDropout"]
        target = np.eye(self.classes, dtype=np.float32)[labels]
        student = np.where(dropped[..., None], np.float32(0), target)

        def nchw(images):
            return images.permute(0, 1, 4, 2, 3).contiguous()

        small = (s, r, t, torch.from_numpy(student), torch.from_numpy(target))
        chunk = (nchw(x), nchw(imm["sigmaData"] * noise), *(u.to(self.device) for u in small))
        return zip(*chunk)


def trained(weights):
    """Without the filters that state dicts list, which are constants of network.py."""
    return {name: w for name, w in weights.items() if not name.endswith(".resample_filter")}


def capture(trainer, example):
    """Trainer.gradients as a CUDA graph: the same kernels, launched together."""
    inputs = [u.clone() for u in example]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            trainer.optimizer.zero_grad(set_to_none=True)
            trainer.gradients(*inputs)
    torch.cuda.current_stream().wait_stream(side)
    trainer.optimizer.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        losses = trainer.gradients(*inputs)

    def gradients(*values):
        for place, value in zip(inputs, values):
            place.copy_(value)
        graph.replay()
        return losses

    return gradients


def captured(trainer, example):
    """As `capture`; Trainer.gradients itself, which is slower, where that fails."""
    try:
        return capture(trainer, example)
    except RuntimeError as error:
        print(f"no CUDA graph, going on without: {error}", file=sys.stderr)
        torch.cuda.synchronize()

    def gradients(*values):
        trainer.optimizer.zero_grad(set_to_none=True)
        return trainer.gradients(*values)

    return gradients


def train(args):
    config = json.loads(Path(args.config).read_text())
    check_config(config)
    imm, settings = config["imm"], config["train"]
    trainer = Trainer(config, args.device)
    metadata = {}
    initial = read_safetensors(args.initial, metadata)
    names = [f"model.{name}" for name, _ in trainer.network.named_parameters()]
    if sorted(names) != sorted(trained(initial)):
        raise SystemExit(f"{args.initial} holds other parameters than the network")
    with torch.no_grad():
        for name, parameter, average in zip(names, trainer.parameters, trainer.average):
            parameter.copy_(initial[name])
            average.copy_(parameter)

    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    lines = (out / "stats.jsonl").open("w")
    stream, batch = Stream(config, args.device), settings["batch"]
    total = -(-settings["images"] // batch)
    size = stream.images[0].numel()
    chunk = max(1, DRAWN[args.device] // (batch * size))
    started = last = time.perf_counter()
    summed, since, gradients = torch.zeros((), device=args.device), 0, None
    for first in range(0, total, chunk):
        for offset, values in enumerate(stream.steps(first, min(chunk, total - first))):
            step = first + offset + 1
            if args.graph:
                gradients = gradients or captured(trainer, values)
                losses = gradients(*values)
            else:
                trainer.optimizer.zero_grad(set_to_none=True)
                losses = trainer.gradients(*values)
            decay = settings["ema"]["decay"]
            if settings["ema"]["ramp"]:
                decay = min(decay, (1 + step) / (10 + step))
            trainer.update(decay)
            summed += losses.mean()
            images = step * batch
            status = config["report"]["status"]
            if images // status > (images - batch) // status or step == total:
                loss, now = summed.item() / (step - since), time.perf_counter()
                line = {
                    "images": images,
                    "step": step,
                    "loss": loss,
                    "imagesPerSecond": (step - since) * batch / (now - last),
                    "seconds": now - started,
                }
                print(json.dumps(line), file=lines, flush=True)
                if not loss < float("inf"):
                    raise SystemExit(f"the loss is {loss} after {images} images")
                summed.zero_()
                since, last = step, now
    average = dict(zip(names, trainer.average))
    weights = {name: average.get(name, value) for name, value in initial.items()}
    write_safetensors(out / "model.safetensors", weights, metadata)


def sample(args):
    """Images of the seeds 0 to N - 1 along given times, labels in turn."""
    metadata = {}
    weights = read_safetensors(args.model, metadata)
    network, imm = (json.loads(metadata[key]) for key in ("network", "imm"))
    model = UNet(network).to(args.device).eval()
    model.load_state_dict({k.removeprefix("model."): w for k, w in trained(weights).items()})
    times = json.loads(args.times)
    side, channels = network["imgResolution"], network["imgChannels"]
    size, classes = side * side * channels, network["labelDim"]
    parts = []
    for first in range(0, args.num, args.batch):
        seeds = range(first, min(args.num, first + args.batch))
        keys = [derive_key(seed, "sample", "latents") for seed in seeds]
        latents = imm["sigmaData"] * normals(keys, 1, size, args.device)
        x = latents.view(-1, side, side, channels).permute(0, 3, 1, 2).contiguous().double()
        labels = torch.nn.functional.one_hot(torch.arange(first, seeds.stop) % classes, classes)
        labels = labels.float().to(args.device)
        for t, s in zip(times, times[1:]):
            x = advance(imm, model, x, s, t, labels)
        # As lib/imm/rgb.ts: the truncation rounds to the nearest byte.
        pixels = (x.float() * 127.5 + 128).clamp(0, 255).to(torch.uint8)
        parts.append(pixels.permute(0, 2, 3, 1).cpu().numpy())
    file = io.BytesIO()
    np.savez_compressed(file, arr_0=np.concatenate(parts), arr_1=np.arange(args.num) % classes)
    replace(args.out, file.getvalue())


@torch.inference_mode()
def advance(imm, model, x, s, t, labels):
    """f_{s,t}(x) with a state in float64."""
    s, t = (torch.full((len(x),), u, dtype=torch.float64, device=x.device) for u in (s, t))
    coefficients = (input_scale(imm, t), *parameterization(imm, s, t))
    c_in, c_skip, c_out = (c[:, None, None, None] for c in coefficients)
    raw = model((c_in * x).float(), imm["timeScale"] * t, imm["timeScale"] * s, labels)
    return c_skip * x + c_out * raw.double()


def classifier(args):
    images, labels = {}, {}
    for part in ("train", "t10k"):
        images[part], labels[part] = read_images(args.data, part, args.pad_to)
    weights, accuracy = train_classifier(images, labels, args.device, args.epochs)
    write_safetensors(args.out, weights, {"accuracy": f"{accuracy:.4f}"})
    print(json.dumps({"accuracy": accuracy}))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(function, **options):
        sub = commands.add_parser(function.__name__)
        for name, kind in options.items():
            sub.add_argument(f"--{name.replace('_', '-')}", type=kind, required=True)
        sub.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
        sub.add_argument("--threads", type=int, default=1)
        sub.set_defaults(run=function)
        return sub

    sub = command(train, config=str, initial=str, out=str)
    sub.add_argument("--graph", action="store_true", help="capture the step as a CUDA graph")
    sub = command(sample, model=str, times=str, num=int, out=str)
    sub.add_argument("--batch", type=int, default=250)
    sub = command(classifier, data=str, pad_to=int, out=str)
    sub.add_argument("--epochs", type=int, default=6)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    # Float32 as on the project's devices.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    for kind in ("flash", "mem_efficient", "cudnn"):
        enable = getattr(torch.backends.cuda, f"enable_{kind}_sdp", None)
        if enable:
            enable(False)
    args.run(args)


if __name__ == "__main__":
    main()
