"""What PyTorch does on the same processors, or on a GPU (--device cuda, with TF32 unless --precision says otherwise): images a second of the phases that `datadropout bench` measures.

One JSON line a measurement, with the keys net, phase, batch, threads, images_per_second, peak_memory_bytes.
Networks are those of the Go package net, in channels-last layout. Run one network and phase a process for its peak memory.

    OMP_NUM_THREADS=2 ATEN_CPU_CAPABILITY=avx512 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=1000000000000 \
        MALLOC_TOP_PAD_=268435456 python3 torch_bench.py --net cnn --phase step
"""
import argparse, json, resource, time
import torch, torch.nn as nn, torch.nn.functional as F

class Lambda(nn.Module):
    def __init__(self, f): super().__init__(); self.f = f
    def forward(self, x): return self.f(x)

class Residual(nn.Module):
    def __init__(self, inner, shortcut=None): super().__init__(); self.inner, self.shortcut = inner, shortcut
    def forward(self, x): return self.inner(x) + (self.shortcut(x) if self.shortcut else x)

def cnn():
    return nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10))

def norm(i, o, k=3, s=1, p=1): return [nn.Conv2d(i, o, k, s, p, bias=False), nn.BatchNorm2d(o)]

def resnet20():
    layers, i = norm(3, 16) + [nn.ReLU()], 16
    for o in (16, 32, 64):
        for block in range(3):
            s = 2 if o != i else 1
            pad = (o - i) // 2
            shortcut = (lambda x, pad=pad: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, pad, pad))) if s == 2 else None
            layers += [Residual(nn.Sequential(*norm(i, o, 3, s), nn.ReLU(), *norm(o, o)), shortcut), nn.ReLU()]
            i = o
    return nn.Sequential(*layers, Lambda(lambda x: x.mean((2, 3))), nn.Linear(64, 10))

def resnet9():
    cb = lambda *a: norm(*a) + [nn.ReLU()]
    return nn.Sequential(*cb(3, 64), *cb(64, 128, 5, 2, 2), Residual(nn.Sequential(*cb(128, 128), *cb(128, 128))), *cb(128, 256),
                         nn.MaxPool2d(2), Residual(nn.Sequential(*cb(256, 256), *cb(256, 256))), *cb(256, 128, 3, 1, 0),
                         nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(128, 10, bias=False), Lambda(lambda x: 0.2 * x))

def dncnn():
    layers = [nn.Conv2d(1, 64, 3, 1, 1), nn.ReLU()]
    for _ in range(15): layers += norm(64, 64) + [nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(64, 1, 3, 1, 1))

NETS = {'cnn': (cnn, (1, 28, 28)), 'resnet20': (resnet20, (3, 32, 32)), 'resnet9': (resnet9, (3, 32, 32)), 'dncnn-s': (dncnn, (1, 40, 40))}

def main():
    a = argparse.ArgumentParser()
    a.add_argument('--net', choices=NETS, required=True)
    a.add_argument('--phase', choices=['forward', 'gradient', 'step', 'score', 'hvp', 'ggn'], required=True)
    a.add_argument('--batch', type=int, default=128)
    a.add_argument('--threads', type=int, default=2)
    a.add_argument('--seconds', type=float, default=2)
    a.add_argument('--device', default='cpu')
    a.add_argument('--precision', choices=['auto', 'float32', 'tf32', 'bfloat16'], default='auto', help='of products; bfloat16 is by autocast, in forward, gradient and step')
    a = a.parse_args()
    if a.device != 'cpu':
        torch.set_default_device(a.device)
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = a.precision != 'float32'
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    make, shape = NETS[a.net]
    model = make().to(memory_format=torch.channels_last)
    image = a.net.startswith('dncnn')
    x = torch.randn(a.batch, *shape).contiguous(memory_format=torch.channels_last)
    y = torch.randn(a.batch, *shape).contiguous(memory_format=torch.channels_last) if image else torch.randint(0, 10, (a.batch,))
    if image:
        per_sample = lambda o: ((o - y) ** 2).flatten(1).sum(1) / 2
    else:  # written out, since the built-in loss lacks forward mode in some versions
        hot = F.one_hot(y, 10).float()
        per_sample = lambda o: torch.logsumexp(o, 1) - (o * hot).sum(1)
    fused = (lambda o: per_sample(o).mean()) if image else (lambda o: F.cross_entropy(o, y))
    model.train(a.phase == 'step')
    params = list(model.parameters())
    v = [torch.randn_like(p) for p in params]
    optimizer = torch.optim.SGD(params, lr=1e-4, momentum=0.9, weight_decay=5e-4)

    def outputs():
        with torch.autocast(a.device.split(':')[0], torch.bfloat16, enabled=a.precision == 'bfloat16'): z = model(x)
        return z.float()
    def forward():
        with torch.no_grad(): return per_sample(outputs())
    def gradient(): return torch.autograd.grad(fused(outputs()), params)
    def step():
        optimizer.zero_grad(set_to_none=True)
        fused(outputs()).backward()
        optimizer.step()
    def dual():
        import torch.autograd.forward_ad as fw
        import functorch
        f, _, buffers = functorch.make_functional_with_buffers(model)
        with torch.no_grad(), fw.dual_level():
            return fw.unpack_dual(f(tuple(fw.make_dual(p.detach(), t) for p, t in zip(params, v)), buffers, x))
    def score():
        import torch.autograd.forward_ad as fw
        import functorch
        f, _, buffers = functorch.make_functional_with_buffers(model)
        with torch.no_grad(), fw.dual_level():
            return fw.unpack_dual(per_sample(f(tuple(fw.make_dual(p.detach(), t) for p, t in zip(params, v)), buffers, x))).tangent
    def hvp():
        g = torch.autograd.grad(per_sample(model(x)).mean(), params, create_graph=True)
        return torch.autograd.grad(g, params, grad_outputs=v)
    def ggn():
        u = dual().tangent.detach()
        z = model(x)
        o = z.detach().requires_grad_()
        g = torch.autograd.grad(per_sample(o).mean(), o, create_graph=True)[0]
        return torch.autograd.grad(z, params, grad_outputs=torch.autograd.grad(g, o, grad_outputs=u)[0])

    phase = locals()[a.phase]
    def run():
        phase()
        if a.device != 'cpu': torch.cuda.synchronize()
    run()
    times, began = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - began < a.seconds:
        at = time.perf_counter()
        run()
        times.append(time.perf_counter() - at)
    times.sort()
    print(json.dumps({'net': a.net, 'phase': a.phase, 'batch': a.batch, 'threads': a.threads, 'torch': torch.__version__, 'device': a.device, 'precision': a.precision,
                      'images_per_second': a.batch / times[len(times) // 2],
                      'peak_memory_bytes': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}), flush=True)

main()
