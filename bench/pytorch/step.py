"""A training step of Inductive Moment Matching (arXiv 2503.07565) in PyTorch, for the settings that
the presets use: the path of flow matching, the mapping `eta`, the Laplace kernel.

Times and coefficients are float64, as on the host of the project's own devices; the network and the
loss are float32.
"""

import torch
from network import UNet


def eta(t):
    return t / (1 - t)


def mapping(imm, s, t):
    """r(s, t): a constant step in eta, down to s."""
    step = (eta(imm["T"]) - eta(imm["eps"])) / 2 ** imm["k"]
    lower = (eta(t) - step).clamp(min=eta(imm["eps"]))
    return torch.maximum(lower / (1 + lower), s)


def parameterization(imm, s, t):
    """c_skip and c_out of f_{s,t}."""
    sigma = imm["sigmaData"]
    if imm["parameterization"] == "euler_fm":
        return torch.ones_like(t), -(t - s) * sigma
    norm = (1 - t) ** 2 + t**2
    return ((1 - s) * (1 - t) + s * t) / norm, -(t - s) * sigma / norm.sqrt()


def input_scale(imm, t):
    """c_in of samples at time t."""
    return 1 / (imm["sigmaData"] * ((1 - t) ** 2 + t**2).sqrt())


def weight(imm, t):
    """w(t) with -d lambda / dt = 2 / (alpha sigma)."""
    alpha, log_snr = 1 - t, 2 * ((1 - t) / t).log()
    slope = 2 / (alpha * t)
    return 0.5 * torch.sigmoid(imm["b"] - log_snr) * slope * alpha ** imm["a"] / (alpha**2 + t**2)


def denoise(imm, network, x, s, t, classes):
    """f_{s,t}(x) for samples x with a time each, and the network's raw output."""
    def image(c):
        return c.float()[:, None, None, None]

    c_skip, c_out = parameterization(imm, s, t)
    c_in = input_scale(imm, t)
    scale = imm["timeScale"]
    raw = network(x * image(c_in), scale * t, scale * s, classes)
    return x * image(c_skip) + raw * image(c_out), raw


def kernel(imm, a, b, scale):
    """Laplace kernel of all pairs of each group, minus 1, so that no digits are lost."""
    squares = (a[:, :, None] - b[:, None]).square().sum(-1)
    distance = squares.clamp(min=imm["kernelEps"] ** 2).sqrt()
    return torch.expm1(-scale[:, None, None] * distance / a.shape[-1])


def group_losses(imm, network, x, noise, s, r, t, student=None, target=None):
    """w(s,t) MMD^2 of each group of M samples."""
    M = imm["M"]
    s_n, r_n, t_n = (u[:, None].expand(-1, M).reshape(-1) for u in (s, r, t))

    def noisy(u):
        alpha, sigma = (c.float()[:, None, None, None] for c in (1 - u, u))
        return alpha * x + sigma * noise

    with torch.no_grad():
        y_r, _ = denoise(imm, network, noisy(r_n), s_n, r_n, target)
    y_t, _ = denoise(imm, network, noisy(t_n), s_n, t_n, student)
    y_t, y_r = (y.reshape(len(t), M, -1) for y in (y_t, y_r))
    _, c_out = parameterization(imm, s, t)
    scale = (1 / c_out.abs()).float()
    pairs = kernel(imm, y_t, y_t, scale) + kernel(imm, y_r, y_r, scale)
    pairs = pairs - 2 * kernel(imm, y_t, y_r, scale)
    return weight(imm, t).float() * pairs.mean((1, 2))


def make_optimizer(config, parameters):
    kinds = {"radam": torch.optim.RAdam, "adamw": torch.optim.AdamW, "adam": torch.optim.Adam}
    return kinds[config["name"]](
        parameters,
        lr=config["lr"],
        betas=tuple(config["betas"]),
        eps=config["eps"],
        weight_decay=config["weightDecay"],
    )


class Trainer:
    """Two passes forward, one backward, the optimiser and the average of the weights."""

    def __init__(self, config, device=None):
        device = device or torch.get_default_device()
        self.imm, self.decay = config["imm"], config["train"]["ema"]["decay"]
        self.network = UNet(config["network"]).to(device).train()
        self.parameters = list(self.network.parameters())
        self.average = [p.detach().clone() for p in self.parameters]
        self.optimizer = make_optimizer(config["optimizer"], self.parameters)

    def gradients(self, x, noise, s, r, t, student=None, target=None):
        """Leaves gradients in the parameters and returns the losses of the groups."""
        losses = group_losses(self.imm, self.network, x, noise, s, r, t, student, target)
        losses.mean().backward()
        return losses.detach()

    def update(self, decay):
        """The optimiser, and the average with this decay."""
        self.optimizer.step()
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)

    def step(self, x, noise, s, r, t, student=None, target=None):
        self.optimizer.zero_grad(set_to_none=True)
        losses = self.gradients(x, noise, s, r, t, student, target)
        self.update(self.decay)
        return losses


def random_classes(network, batch):
    classes = network["labelDim"]
    if not classes:
        return None
    return torch.nn.functional.one_hot(torch.arange(batch) % classes, classes).float()


def training_job(config):
    """A function that trains a step on made-up images, noise and times drawn anew."""
    torch.manual_seed(0)
    trainer, imm, network = Trainer(config), config["imm"], config["network"]
    batch, size = config["train"]["batch"], network["imgResolution"]
    x = torch.rand(batch, network["imgChannels"], size, size) * 2 - 1
    classes = random_classes(network, batch)

    def run():
        groups = batch // imm["M"]
        t = imm["eps"] + torch.rand(groups, dtype=torch.float64) * (imm["T"] - imm["eps"])
        s = imm["eps"] + torch.rand(groups, dtype=torch.float64) * (t - imm["eps"])
        noise = torch.randn_like(x) * imm["sigmaData"]
        trainer.step(x, noise, s, mapping(imm, s, t), t, classes, classes)

    return run, sum(p.numel() for p in trainer.parameters)


def sampling_job(config, batch):
    """A function that draws a batch in one step."""
    torch.manual_seed(0)
    imm, network = config["imm"], config["network"]
    model = UNet(network).eval()
    size = network["imgResolution"]
    classes = random_classes(network, batch)
    s = torch.full((batch,), imm["eps"], dtype=torch.float64)
    t = torch.full((batch,), imm["T"], dtype=torch.float64)

    def run():
        x = torch.randn(batch, network["imgChannels"], size, size) * imm["sigmaData"]
        with torch.inference_mode():
            denoise(imm, model, x, s, t, classes)[0].clamp(-1, 1)

    return run, sum(p.numel() for p in model.parameters())
