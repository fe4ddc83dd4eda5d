"""Seconds and peak memory that PyTorch takes to denoise one image with dncnn-s, beside `datadropout denoise`.

    OMP_NUM_THREADS=2 python3 torch_photo.py --height 2000 --width 3000
    OMP_NUM_THREADS=2 python3 torch_photo.py --height 2000 --width 3000 --tile 512

Whole, or in tiles that overlap by the reach of the network, 17 pixels. Batch norm is folded into the convolutions and the weights are
random: neither changes the work. One JSON line.
"""
import argparse, json, resource, time
import torch, torch.nn as nn

def dncnn():
    layers = [nn.Conv2d(1, 64, 3, 1, 1), nn.ReLU(True)]
    for _ in range(15): layers += [nn.Conv2d(64, 64, 3, 1, 1), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.Conv2d(64, 1, 3, 1, 1)).to(memory_format=torch.channels_last).eval()

def denoise(model, x, tile, reach=17):
    if not tile: return x - model(x)
    out, step = torch.empty_like(x), tile - 2 * reach
    h, w = x.shape[2:]
    for top in range(0, h, step):
        for left in range(0, w, step):
            y0, x0 = max(top - reach, 0), max(left - reach, 0)
            y1, x1 = min(top + step + reach, h), min(left + step + reach, w)
            part = x[:, :, y0:y1, x0:x1].contiguous(memory_format=torch.channels_last)
            bottom, right = min(top + step, h), min(left + step, w)
            out[:, :, top:bottom, left:right] = (part - model(part))[:, :, top - y0:bottom - y0, left - x0:right - x0]
    return out

a = argparse.ArgumentParser()
a.add_argument('--height', type=int, default=2000)
a.add_argument('--width', type=int, default=3000)
a.add_argument('--tile', type=int, default=0, help='side of a tile; 0: the whole image at once')
a.add_argument('--threads', type=int, default=2)
a.add_argument('--rounds', type=int, default=1)
a = a.parse_args()
torch.set_num_threads(a.threads)
torch.manual_seed(1)
model, image = dncnn(), torch.rand(1, 1, a.height, a.width)
times = []
with torch.inference_mode():
    model(image[:, :, :256, :256])
    for _ in range(a.rounds):
        at = time.perf_counter()
        denoise(model, image, a.tile)
        times.append(time.perf_counter() - at)
print(json.dumps({'height': a.height, 'width': a.width, 'tile': a.tile, 'threads': a.threads, 'torch': torch.__version__,
                  'seconds': sorted(times)[len(times) // 2], 'peak_memory_bytes': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
