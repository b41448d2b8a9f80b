"""PyTorch as one of the engines: the protocol of bench/engine.ts.

    python3 serve.py THREADS [cpu|cuda]

Everything is computed in full float32: CUDA's TF32 rounds the operands of products to 10 bits.
Reads one request per line of standard input and answers with one line of JSON.
"""

import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from step import sampling_job, training_job

NORM_EPS = 1e-5


def inputs_of(task, folder):
    """The inputs by name on the default device; images become NCHW in memory (PyTorch's default) and weights OIHW."""
    values = {}
    for path in Path(folder).glob("*.f32"):
        if not path.stem.startswith("out-"):
            values[path.stem] = torch.tensor(np.fromfile(path, dtype=np.float32))
    kind = task["kind"]
    if kind == "gemm":
        return {name: x.view(task["size"], task["size"]) for name, x in values.items()}
    if kind == "attention":
        shape = (task["batch"], task["tokens"], task["channels"])
        return {name: x.view(shape) for name, x in values.items()}
    n, size = task["batch"], task["resolution"]
    channels = {"x": task.get("inChannels", task.get("channels"))}
    channels["dy"] = task.get("outChannels", task.get("channels"))
    images = {
        name: values[name].view(n, size, size, channels[name]).permute(0, 3, 1, 2).contiguous()
        for name in ("x", "dy") if name in values
    }
    if "w" in values:
        shape = (3, 3, task["inChannels"], task["outChannels"])
        values["w"] = values["w"].view(shape).permute(3, 2, 0, 1).contiguous()
    return {**values, **images}


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def conv(task, v):
    n, size, c, o = task["batch"], task["resolution"], task["inChannels"], task["outChannels"]
    if task["pass"] == "forward":
        return lambda: {"y": F.conv2d(v["x"], v["w"], padding=1)}, {"y": nhwc}
    # The operator that autograd calls, for one of the two gradients.
    wanted = task["pass"] == "input gradient"
    x = torch.zeros(n, c, size, size) if wanted else v["x"]
    w = v["w"] if wanted else torch.zeros(o, c, 3, 3)

    def run():
        dx, dw, _ = torch.ops.aten.convolution_backward(
            v["dy"], x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [wanted, not wanted, False]
        )
        return {"dx": dx} if wanted else {"dw": dw}

    return run, {"dx": nhwc, "dw": lambda dw: dw.permute(2, 3, 1, 0)}


def with_gradients(function, names, v):
    """y, and with `dy` among the values the gradients of the named inputs."""
    if "dy" not in v:
        return lambda: {"y": function(*(v[name] for name in names))}
    leaves = [v[name].clone().requires_grad_() for name in names]

    def run():
        y = function(*leaves)
        gradients = torch.autograd.grad(y, leaves, v["dy"])
        return {"y": y.detach(), **{f"d{name}": g for name, g in zip(names, gradients)}}

    return run


def formulate(task, v):
    """A function that computes the outputs, and how they become what is compared."""
    kind = task["kind"]
    if kind == "gemm":
        return lambda: {"y": v["a"] @ v["b"]}, {}
    if kind == "conv":
        return conv(task, v)
    if kind == "norm":
        def norm(x, weight, bias):
            return F.silu(F.group_norm(x, task["groups"], weight, bias, NORM_EPS))

        return with_gradients(norm, ["x", "weight", "bias"], v), {"y": nhwc, "dx": nhwc}

    def attention(q, k, v):
        heads = (t.unsqueeze(1) for t in (q, k, v))
        return F.scaled_dot_product_attention(*heads).squeeze(1)

    return with_gradients(attention, ["q", "k", "v"], v), {}


def peak_bytes():
    """The most memory that this process has had, of the GPU where it uses one; Linux alone tells."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated()
    try:
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"^VmHWM:\s*(\d+) kB", status, re.M)[1]) * 1024
    except OSError:
        return None


def finish():
    """Waits for what the GPU still has to do."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def time_runs(run, seconds, clock, samples=5):
    """As timeRuns of lib/base/clock.ts, without a warm-up."""

    def timed(runs):
        started = clock()
        for _ in range(runs):
            run()
        finish()
        return clock() - started

    share = seconds / samples
    runs = 1
    elapsed = timed(runs)
    while elapsed < share / 2:
        runs *= max(2, min(16, int(share / max(elapsed, 1e-6) / 2)))
        elapsed = timed(runs)
    taken = [elapsed / runs]
    spent = elapsed
    while len(taken) < samples and spent + elapsed <= seconds:
        elapsed = timed(runs)
        taken.append(elapsed / runs)
        spent += elapsed
    return taken


def main():
    threads = int(sys.argv[1])
    device = sys.argv[2] if len(sys.argv) > 2 else "cpu"
    torch.set_num_threads(threads)

    def answer(message):
        print(json.dumps(message), flush=True)

    if device == "cuda":
        if not torch.cuda.is_available():
            answer({"skipped": "PyTorch finds no CUDA device"})
            return
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        torch.set_default_device("cuda")
        where = torch.cuda.get_device_name()
    else:
        where = f"{torch.get_num_threads()} threads"
    answer({"description": f"PyTorch {torch.__version__}, {where}"})
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["command"] == "prepare":
                task, folder = request["task"], request["folder"]
                run, back = formulate(task, inputs_of(task, folder))
                outputs = run()
                for name, value in outputs.items():
                    value = back.get(name, lambda x: x)(value).contiguous()
                    value.cpu().numpy().tofile(Path(folder) / f"out-{name}.f32")
                answer({"outputs": list(outputs)})
            elif request["command"] == "prepare job":
                job = request["job"]
                if job["kind"] == "training":
                    run, parameters = training_job(job["config"])
                else:
                    run, parameters = sampling_job(job["config"], job["batch"])
                run()
                finish()
                answer({"parameters": parameters})
            elif request["command"] == "time":
                clock = {"wall": time.perf_counter, "cpu": time.process_time}[request["clock"]]
                samples = time_runs(run, request["seconds"], clock)
                answer({"samples": samples, "peakBytes": peak_bytes()})
            else:
                run = None
                answer({"done": True})
        except Exception as error:  # the parent decides what to make of it
            answer({"skipped": f"{type(error).__name__}: {error}".split("\n")[0]})


if __name__ == "__main__":
    main()
