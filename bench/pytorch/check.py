"""Whether step.py is the same step: twelve steps of a tiny network with each of two optimisers,
against the values of the official network in tests/golden.

    python3 check.py tests/golden

Prints one line of JSON per fixture with the largest errors, and `ok`.
"""

import json
import sys
from pathlib import Path

import torch
from files import read_safetensors
from step import Trainer, mapping

def camel(name):
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def check(folder, name):
    fixture = json.loads((folder / f"{name}.json").read_text())
    values = read_safetensors(folder / f"{name}.safetensors")
    initial = read_safetensors(folder / fixture["init"]["file"])
    network = {camel(key): value for key, value in fixture["config"].items()}
    imm = {"timeScale": 1000, "parameterization": fixture["imm"]["f_type"]}
    imm |= {camel(key): value for key, value in fixture["imm"].items()}
    optimizer = {camel(key): value for key, value in fixture["optimizer"].items()}
    optimizer |= {"name": optimizer["name"].lower(), "weightDecay": optimizer.get("weightDecay", 0)}
    trainer = Trainer({
        "network": {"channelMultEmb": 4, **network},
        "imm": imm,
        "optimizer": optimizer,
        "train": {"ema": {"decay": fixture["ema_decay"]}},
    })
    names = [f"model.{key}" for key, _ in trainer.network.named_parameters()]
    expected_names = [key[len("param.") :] for key in values if key.startswith("param.")]
    assert sorted(names) == sorted(expected_names), "other parameters than in the fixture"
    with torch.no_grad():
        for key, parameter, average in zip(names, trainer.parameters, trainer.average):
            parameter.copy_(initial[f"param.{key}"])
            average.copy_(parameter)

    errors = {"r": 0.0, "loss": 0.0}
    for i in range(fixture["steps"]):
        t, s, r = (values[key][i] for key in "tsr")
        errors["r"] = max(errors["r"], (mapping(imm, s, t) - r).abs().max().item())
        losses = trainer.step(values["x"][i], values["noise"][i], s, r, t).double()
        expected = values["loss_group"][i]
        error = ((losses - expected).abs().max() / expected.abs().max()).item()
        errors["loss"] = max(errors["loss"], error)

    def moved(kind, found):
        difference = distance = 0.0
        for key, value in zip(names, found):
            expected = values[f"{kind}.{key}"].double()
            difference += (value.detach().double() - expected).square().sum().item()
            distance += (expected - initial[f"param.{key}"].double()).square().sum().item()
        return (difference / distance) ** 0.5

    errors["parameters"] = moved("param", trainer.parameters)
    errors["average"] = moved("ema", trainer.average)
    tolerances = fixture["tolerances"]
    ok = (
        errors["r"] <= 3e-14
        and errors["loss"] <= tolerances["loss_group"]
        and errors["parameters"] <= tolerances["param"]
        and errors["average"] <= tolerances["ema"]
    )
    print(json.dumps({"fixture": name, "ok": ok, **errors}), flush=True)
    return ok


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    fixtures = ["imm_train_ddpmpp_edm", "imm_train_ddpmpp_euler"]
    sys.exit(0 if all([check(folder, name) for name in fixtures]) else 1)
