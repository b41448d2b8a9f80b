"""Writes torch_fixtures.ts: small files made by pickle, numpy and PyTorch.

Run with numpy 2.4, PyTorch 2.15: python3 tests/format/make_torch_fixtures.py > tests/format/torch_fixtures.ts
"""

import argparse, base64, collections, datetime, decimal, io, pathlib, pickle, struct, sys, types
import numpy as np
import torch

fixtures = {}


def saved(value, **options):
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


# Python's own objects in every protocol.
plain = {
    "none": None, "yes": True, "no": False, "int": -5, "word": 70000, "long": 2**40, "big": -(2**70),
    "float": -0.1, "inf": float("inf"), "text": "é\n\U0001f600", "long text": "ab" * 200,
    "bytes": b"\x00\xff", "many bytes": bytes(range(256)) * 2, "list": [1, [2, (3,)], []],
    "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)), "dict": {1: 2, "k": {"deep": [None]}},
    "ordered": collections.OrderedDict(a=1, b=2), "set": {1, 2, 3}, "frozen": frozenset([4]),
}
shared = [1]
plain["twice"] = [shared, shared]
for protocol in range(6):
    fixtures[f"plain{protocol}"] = pickle.dumps(plain, protocol)
fixtures["bytearray5"] = pickle.dumps(bytearray(b"abc"), 5)

# Arrays of numpy, in the forms of all protocols and of both names of its core.
arrays = {
    "f4": np.arange(6, dtype="<f4").reshape(2, 3) / 2, "big": np.arange(3, dtype=">i4"),
    "fortran": np.asfortranarray(np.arange(6, dtype="<f8").reshape(2, 3)), "u1": np.arange(4, dtype="u1"),
    "half": np.array([1.5, -2], "<f2"), "bool": np.array([True, False]), "scalar": np.float32(1.5),
    "count": np.int64(-3), "zero-d": np.array(7, "<i2"), "objects": np.array([None, "x"], dtype=object),
}
for protocol in (0, 2, 4, 5):
    fixtures[f"numpy{protocol}"] = pickle.dumps(arrays, protocol)
# As numpy 1 wrote it: GLOBAL and STACK_GLOBAL names differ only in the module.
fixtures["numpy1"] = fixtures["numpy2"].replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def batch_of_cifar():
    """A batch of the CIFAR-10 archive, as cPickle of Python 2 wrote it; two pictures of 2 x 2."""
    short = lambda text: b"U" + bytes([len(text)]) + text
    data = bytes(range(24)) * 64
    return (
        b"\x80\x02}q\x01(" + short(b"batch_label") + b"q\x02" + short(b"training batch 1 of 5") + b"q\x03"
        + short(b"labels") + b"q\x04]q\x05(K\x06K\x09e" + short(b"data") + b"q\x06"
        + b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09"
        + b"(K\x01K\x02M\x00\x03\x86cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\x87Rq\x0b"
        + b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<I", len(data)) + data
        + b"tb" + short(b"filenames") + b"q\x0c]q\x0d(" + short(b"frog_\xe9.png") + short(b"truck.png") + b"eu."
    )


fixtures["cifar"] = batch_of_cifar()

# Files of torch.save: all element types, views of one storage, parameters.
base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
tensors = collections.OrderedDict(
    f32=base, transposed=base.t(), part=base[1:3, ::2], scalar=torch.tensor(2.5),
    expanded=torch.tensor([1.0, 2.0]).expand(3, 2), empty=torch.zeros(0, 3),
    channels_last=torch.arange(16.0).reshape(1, 2, 2, 4).to(memory_format=torch.channels_last),
    f64=torch.tensor([0.1], dtype=torch.float64), f16=torch.tensor([1.5, -2], dtype=torch.float16),
    bf16=torch.tensor([1.5, -2], dtype=torch.bfloat16), i64=torch.tensor([2**40]),
    i32=torch.tensor([-7], dtype=torch.int32), i16=torch.tensor([-7], dtype=torch.int16),
    i8=torch.tensor([-7], dtype=torch.int8), u8=torch.tensor([200], dtype=torch.uint8),
    flag=torch.tensor([True, False]), parameter=torch.nn.Parameter(torch.tensor([3.0])),
)
checkpoint = {"ema": tensors, "step": 12, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}}
fixtures["torchZip"] = saved(checkpoint)
fixtures["torchLegacy"] = saved(checkpoint, _use_new_zipfile_serialization=False)
fixtures["torchPickle"] = pickle.dumps(checkpoint)
state = torch.nn.Linear(2, 1).state_dict()  # its OrderedDict has an attribute, _metadata
state["weight"], state["bias"] = torch.tensor([[1.0, 2.0]]), torch.tensor([3.0])
fixtures["stateDict"] = saved(state)


# Whole modules in a pickle, as the EDM family writes them: its own classes come with their source.
def module(name, **content):
    made = types.ModuleType(name)
    made.__dict__.update(content)
    sys.modules[name] = made
    return made


class EasyDict(dict):
    __module__, __qualname__ = "dnnlib.util", "EasyDict"


def reconstruct(meta):
    raise NotImplementedError


reconstruct.__module__ = "torch_utils.persistence"
reconstruct.__name__ = reconstruct.__qualname__ = "_reconstruct_persistent_obj"


class Net(torch.nn.Module):
    def __init__(self, width, depth=1):
        super().__init__()
        self._init_args, self._init_kwargs = (width,), {"depth": depth}
        self.layers = torch.nn.ModuleList([torch.nn.Linear(width, 1, bias=False) for _ in range(depth)])
        self.act = torch.nn.functional.silu
        self.register_buffer("filter", torch.tensor([1.0, 3.0]))
        self.register_buffer("cache", torch.zeros(1), persistent=False)
        with torch.no_grad():
            for i, layer in enumerate(self.layers):
                layer.weight.copy_(torch.arange(width) + 10.0 * i)

    def __reduce__(self):
        state = {key: value for key, value in self.__dict__.items()}
        meta = EasyDict(type="class", version=6, module_src="import os\nos.abort()\n", class_name="Net", state=state)
        return reconstruct, (meta,)


module("dnnlib")
module("dnnlib.util", EasyDict=EasyDict)
module("torch_utils")
module("torch_utils.persistence", _reconstruct_persistent_obj=reconstruct)
fixtures["edm"] = pickle.dumps({"ema": Net(3, depth=2).eval(), "loss_fn": None, "augment_pipe": None})



# What trainers leave beside the weights: objects of their own classes and of Python's and numpy's.
class Config:
    def __init__(self, **values):
        self.__dict__.update(values)


class Settings(dict):
    pass


class History(list):
    pass


class Names(set):
    pass


for cls in (Config, Settings, History, Names):
    cls.__module__ = "trainer"
    cls.__qualname__ = cls.__name__
Pair = collections.namedtuple("Pair", "first second", module="trainer")
module("trainer", Config=Config, Settings=Settings, History=History, Names=Names, Pair=Pair)
layer = torch.nn.Linear(2, 1)
optimizer = torch.optim.AdamW(layer.parameters())
config = Config(lr=1e-4, parent=None, kept=torch.tensor([1.0, 2.0]))
config.parent = config  # as the nodes of a configuration know each other
leavings = {
    "queue": collections.deque([1, torch.tensor([3.0])], maxlen=4), "counter": collections.Counter("hello"),
    "args": argparse.Namespace(out=pathlib.PurePosixPath("a"), reduce=max, now=datetime.timedelta(1)),
    "config": config, "settings": Settings(deep=Settings(x=torch.tensor([4.0]))), "history": History([5, 6]),
    "names": Names(["a"]), "pair": Pair(torch.tensor([7.0]), 8), "method": config.__init__,
    "generator": np.random.default_rng(1), "decimal": decimal.Decimal("1.5"), "error": ValueError("x"),
    "whole optimizer": optimizer, "optimizer": optimizer.state_dict(), "ellipsis": ...,
    "complex": torch.ones(2, dtype=torch.complex64), "complex parameter": torch.nn.Parameter(torch.ones(1) * 1j),
    "array": np.float32([[9, 10]]), "texts": np.array(["a", "b"]),
    "model": {"weight": torch.tensor([11.0])},
}
for name, value in leavings.items():
    try:
        pickle.dumps(value)
    except Exception as error:
        raise SystemExit(f"{name}: {error}")
# Later types have no place in older files.
fixtures["leavingsZip"] = saved({**leavings, "float8": torch.ones(3).to(torch.float8_e4m3fn), "sparse": torch.eye(2).to_sparse()})
fixtures["leavingsLegacy"] = saved(leavings, _use_new_zipfile_serialization=False)
for protocol in (0, 2, 4):
    fixtures[f"leavings{protocol}"] = pickle.dumps(leavings, protocol)
fixtures["arrays"] = pickle.dumps({"params": {"dense": {"kernel": np.arange(6, dtype="<f4").reshape(2, 3)}}, "step": np.int64(3),
                                   ("opt", 0, "mu"): np.ones(1, "<f4"), (1, None): np.ones(1)})


# A transformer of the public code, small, with its wrapper's arguments: modules without any code.
class IMMPrecond(torch.nn.Module):
    def __reduce__(self):
        meta = dict(type="class", version=6, module_src="raise SystemExit", class_name=self.title, state=self.__dict__)
        return reconstruct, (meta,)


def tree(shapes):
    """Modules with parameters of these names, which count upwards by eighths."""
    root, count = IMMPrecond(), 0
    for name, shape in shapes.items():
        *path, leaf = name.split(".")
        at = root
        for step in path:
            if step not in at._modules:
                at.add_module(step, torch.nn.Module())
            at = at._modules[step]
        size = int(np.prod(shape))
        at.register_parameter(leaf, torch.nn.Parameter((torch.arange(size) % 64 + count).reshape(shape) / 8))
        count += 1
    return root


width, times = 8, 8
shapes = {"pos_embed": (1, 4, width)}
for embedder in ("s_embedder", "t_embedder"):
    shapes[f"{embedder}.mlp.0.weight"], shapes[f"{embedder}.mlp.0.bias"] = (width, times), (width,)
    shapes[f"{embedder}.mlp.2.weight"], shapes[f"{embedder}.mlp.2.bias"] = (width, width), (width,)
shapes["x_embedder.proj.weight"], shapes["x_embedder.proj.bias"] = (width, 3, 2, 2), (width,)
shapes["y_embedder.embedding_table.weight"] = (3, width)
for part, out, inner in (
    ("attn.qkv", 3 * width, width), ("attn.proj", width, width), ("mlp.fc1", 2 * width, width),
    ("mlp.fc2", width, 2 * width), ("adaLN_modulation.1", 6 * width, width),
):
    shapes[f"blocks.0.{part}.weight"], shapes[f"blocks.0.{part}.bias"] = (out, inner), (out,)
shapes["final_layer.linear.weight"], shapes["final_layer.linear.bias"] = (12, width), (12,)
shapes["final_layer.adaLN_modulation.1.weight"] = (2 * width, width)
shapes["final_layer.adaLN_modulation.1.bias"] = (2 * width,)
model, net = tree(shapes), tree({})
model.title, net.title = "DiT", "IMMPrecond"
model._init_args, model._init_kwargs = (), {"img_resolution": 4}
net._init_args = ()
net._init_kwargs = {"img_resolution": 4, "img_channels": 3, "label_dim": 2, "temb_type": "stride", "num_heads": 4, "eps": 0.006}
for name, value in net._init_kwargs.items():
    setattr(net, name, value)
net.f_type, net.noise_schedule, net.T, net.sigma_data, net.time_scale = "euler_fm", "fm", 0.994, 0.5, 1000.0
net.add_module("model", model)
fixtures["immSnapshot"] = pickle.dumps({"ema": net.eval(), "loss_fn": None, "dataset_kwargs": EasyDict(path="x")})

print("// Made by make_torch_fixtures.py (numpy %s, PyTorch %s); do not edit.\n" % (np.__version__, torch.__version__))
print("const base64 = {")
for name, content in fixtures.items():
    text = base64.b64encode(content).decode()
    lines = [text[i:i + 94] for i in range(0, len(text), 94)]
    print(f"  {name}:\n    " + " +\n    ".join(f'"{line}"' for line in lines) + ",")
print("};\n")
print("/** Files made by pickle, numpy and PyTorch. */")
print("export const fixtures = Object.fromEntries(")
print("  Object.entries(base64).map(([name, text]) => [name, Uint8Array.fromBase64(text)]),")
print(") as Record<keyof typeof base64, Uint8Array>;")
