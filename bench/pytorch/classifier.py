"""A small classifier of grey images, in whose features samples are compared (the layers are written a
second time in bench/evidence/classifier.ts, as an ONNX model)."""

import torch
import torch.nn.functional as F
from torch import nn


class Classifier(nn.Module):
    """Images [N, 1, H, W] from -1 to 1 -> features [N, 128] and logits [N, 10]."""

    def __init__(self):
        super().__init__()
        self.conv0 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv1 = nn.Conv2d(32, 64, 3, padding=1)
        self.conv2 = nn.Conv2d(64, 128, 3, padding=1)
        self.fc = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv0(x)), 2)
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        features = F.relu(self.conv2(x)).mean((2, 3))
        return features, self.fc(features)


def train_classifier(images, labels, device, epochs, batch=128):
    """The weights, and the share of the test images that they tell right."""
    torch.manual_seed(0)
    model = Classifier().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def prepared(part):
        x = torch.from_numpy(images[part].copy()).to(device).permute(0, 3, 1, 2).contiguous()
        return x, torch.from_numpy(labels[part]).to(device)

    x, y = prepared("train")
    steps = epochs * (len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for step in range(steps):
        if step % (len(x) // batch) == 0:
            order = torch.randperm(len(x)).to(device)
        chosen = order[step % (len(x) // batch) * batch :][:batch]
        _, logits = model(x[chosen].float() / 127.5 - 1)
        optimizer.zero_grad()
        F.cross_entropy(logits, y[chosen]).backward()
        optimizer.step()
        schedule.step()
    x, y = prepared("t10k")
    with torch.inference_mode():
        right = [
            (model(part.float() / 127.5 - 1)[1].argmax(1) == truth).sum().item()
            for part, truth in zip(x.split(500), y.split(500))
        ]
    return dict(model.state_dict()), sum(right) / len(y)
