"""Loads weights that `datadropout export --weights` wrote into PyTorch modules and compares their outputs with ours.

    python3 torch_logits.py DIR...

Each DIR holds weights.safetensors, input.npy (float32, images of height, width and channels, flat) and logits.npy (what our network
answers, flat). Prints a JSON line each, with the largest difference, and exits with 1 where it is above 1e-4. The modules are examples of
how names and layouts map: states are loaded strictly, so a missing or a spare tensor is an error.
"""
import json, os, struct, sys
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F


def read_safetensors(path):
    """What safetensors.torch.load_file does, without the library."""
    raw = open(path, 'rb').read()
    n = struct.unpack('<Q', raw[:8])[0]
    header = json.loads(raw[8:8 + n])
    meta = header.pop('__metadata__')
    state = {}
    for name, t in header.items():
        begin, end = t['data_offsets']
        assert t['dtype'] == 'F32' and end - begin == 4 * int(np.prod(t['shape'])), name
        state[name] = torch.from_numpy(np.frombuffer(raw[8 + n + begin:8 + n + end], '<f4').reshape(t['shape']).copy())
    return state, meta


class ConvNorm(nn.Conv2d):
    """A convolution without bias with the batch norm behind it: its state is weight, norm.weight, norm.bias, norm.running_mean, norm.running_var."""

    def __init__(self, i, o, k=3, s=1, p=1):
        super().__init__(i, o, k, s, p, bias=False)
        self.norm = nn.BatchNorm2d(o)

    def forward(self, x): return self.norm(super().forward(x))


class CNN(nn.Module):
    def __init__(self, image, classes):
        super().__init__()
        h, w, c = image
        self.conv1, self.conv2 = nn.Conv2d(c, 32, 3), nn.Conv2d(32, 64, 3)
        self.dense1, self.dense2 = nn.Linear(64 * ((h - 4) // 2) * ((w - 4) // 2), 128), nn.Linear(128, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2)
        return self.dense2(F.relu(self.dense1(x.flatten(1))))


class MLP(nn.Module):
    def __init__(self, image, classes):
        super().__init__()
        self.dense1, self.dense2, self.dense3 = nn.Linear(int(np.prod(image)), 128), nn.Linear(128, 64), nn.Linear(64, classes)

    def forward(self, x): return self.dense3(F.relu(self.dense2(F.relu(self.dense1(x.flatten(1))))))


class Basic(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.pad, s = (o - i) // 2, 2 if o != i else 1
        self.conv1, self.conv2 = ConvNorm(i, o, 3, s), ConvNorm(o, o)

    def forward(self, x):
        short = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad)) if self.pad else x
        return F.relu(self.conv2(F.relu(self.conv1(x))) + short)


class ResNet20(nn.Module):
    def __init__(self, image, classes):
        super().__init__()
        self.stem, i = ConvNorm(image[2], 16), 16
        for stage, o in enumerate((16, 32, 64)):
            blocks = nn.Module()
            for block in range(3):
                setattr(blocks, f'block{block + 1}', Basic(i, o))
                i = o
            setattr(self, f'stage{stage + 1}', blocks)
        self.dense = nn.Linear(64, classes)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for stage in (self.stage1, self.stage2, self.stage3):
            for block in stage.children(): x = block(x)
        return self.dense(x.mean((2, 3)))


NETS = {'cnn': CNN, 'mlp': MLP, 'resnet20': ResNet20}


def main():
    torch.set_num_threads(1)
    worst = 0.0
    for d in sys.argv[1:]:
        state, meta = read_safetensors(os.path.join(d, 'weights.safetensors'))
        image, classes = json.loads(meta['image']), json.loads(meta['classes'])
        net = NETS[meta['net']](image, len(classes)).eval()
        net.load_state_dict(state, strict=True)
        x = torch.from_numpy(np.load(os.path.join(d, 'input.npy')).reshape(-1, *image)).permute(0, 3, 1, 2)
        ours = np.load(os.path.join(d, 'logits.npy')).reshape(-1, len(classes))
        with torch.no_grad(): theirs = net(x).numpy()
        difference = float(np.abs(theirs - ours).max())
        worst = max(worst, difference)
        print(json.dumps({'net': meta['net'], 'samples': len(ours), 'largest': float(np.abs(ours).max()), 'difference': difference}))
    sys.exit(0 if worst <= 1e-4 else 1)


if __name__ == '__main__':
    main()
