"""What JAX does on its default device: images a second of the phases that `datadropout bench` measures.

One JSON line, with the keys net, phase, batch, images_per_second, device. Networks are those of the Go package net, channels last; JAX
compiles each phase as one program and gives the buffers of a step back to it.

    python3 jax_bench.py --net resnet20 --phase step
"""
import argparse, functools, json, time
import jax, jax.numpy as jnp
from jax import lax

OPERANDS = jnp.float32  # the type of what goes into products; parameters and all else are float32

class Layers:
    """Draws parameters on a first pass, and hands them out again in the same order afterwards."""
    def __init__(self, params=None, train=False):
        self.drawing, self.params, self.train, self.at, self.key = params is None, params or [], train, 0, jax.random.key(1)
        self.statistics = []

    def param(self, shape, scale):
        if self.drawing:
            self.key, k = jax.random.split(self.key)
            self.params.append(scale * jax.random.normal(k, shape))
        self.at += 1
        return self.params[self.at - 1]

    def conv(self, x, out, k=3, s=1, pad=1, bias=False):
        w = self.param((k, k, x.shape[-1], out), (2 / (k * k * x.shape[-1])) ** .5)
        x, w = x.astype(OPERANDS), w.astype(OPERANDS)
        y = lax.conv_general_dilated(x, w, (s, s), [(pad, pad)] * 2, dimension_numbers=('NHWC', 'HWIO', 'NHWC')).astype(jnp.float32)
        return y + self.param((out,), 0) if bias else y

    def norm(self, x):
        c = x.shape[-1]
        mean, var = (x.mean((0, 1, 2)), x.var((0, 1, 2))) if self.train else (jnp.zeros(c), jnp.ones(c))
        if self.train: self.statistics += [mean, var]
        return (x - mean) * lax.rsqrt(var + 1e-5) * (1 + self.param((c,), 0)) + self.param((c,), 0)

    def dense(self, x, out):
        w = self.param((x.shape[-1], out), x.shape[-1] ** -.5)
        return (x.astype(OPERANDS) @ w.astype(OPERANDS)).astype(jnp.float32) + self.param((out,), 0)

def max_pool(x): return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), 'VALID')

def cnn(l, x):
    x = jax.nn.relu(l.conv(x, 32, pad=0, bias=True))
    x = max_pool(jax.nn.relu(l.conv(x, 64, pad=0, bias=True)))
    return l.dense(jax.nn.relu(l.dense(x.reshape(len(x), -1), 128)), 10)

def resnet20(l, x):
    x = jax.nn.relu(l.norm(l.conv(x, 16)))
    for out in (16, 32, 64):
        for _ in range(3):
            s, more = (2, out - x.shape[-1]) if out != x.shape[-1] else (1, 0)
            y = jax.nn.relu(l.norm(l.conv(x, out, s=s)))
            y = l.norm(l.conv(y, out))
            x = jax.nn.relu(y + jnp.pad(x[:, ::s, ::s], ((0, 0),) * 3 + ((more // 2, more - more // 2),)))
    return l.dense(x.mean((1, 2)), 10)

def dncnn(l, x):
    x = jax.nn.relu(l.conv(x, 64, bias=True))
    for _ in range(15): x = jax.nn.relu(l.norm(l.conv(x, 64)))
    return l.conv(x, 1, bias=True)

NETS = {'cnn': (cnn, (28, 28, 1)), 'resnet20': (resnet20, (32, 32, 3)), 'dncnn-s': (dncnn, (40, 40, 1))}

def main():
    a = argparse.ArgumentParser()
    a.add_argument('--net', choices=NETS, required=True)
    a.add_argument('--phase', choices=['forward', 'gradient', 'step', 'score', 'hvp'], required=True)
    a.add_argument('--batch', type=int, default=128)
    a.add_argument('--seconds', type=float, default=2)
    a.add_argument('--precision', choices=['auto', 'float32', 'tf32', 'bfloat16'], default='auto', help='of products; auto is JAX\'s default, TF32 on NVIDIA GPUs')
    a = a.parse_args()
    global OPERANDS
    if a.precision == 'bfloat16': OPERANDS = jnp.bfloat16
    matmul = {'float32': 'float32', 'tf32': 'tensorfloat32'}.get(a.precision)
    if matmul: jax.config.update('jax_default_matmul_precision', matmul)
    net, shape = NETS[a.net]
    x = jax.random.normal(jax.random.key(2), (a.batch, *shape))
    draw = Layers()
    outputs = net(draw, x[:1])
    params = draw.params
    image = outputs.ndim == 4
    y = jax.random.normal(jax.random.key(3), (a.batch, *outputs.shape[1:])) if image else jax.nn.one_hot(jnp.arange(a.batch) % 10, 10)

    def losses(params, x, y, train=False):
        l = Layers(params, train)
        z = net(l, x)
        if image: return ((z - y) ** 2).reshape(len(z), -1).sum(1) / 2, l.statistics
        return jax.nn.logsumexp(z, 1) - (z * y).sum(1), l.statistics
    def mean(params, x, y, train=False):
        each, statistics = losses(params, x, y, train)
        return each.mean(), statistics
    v = [jnp.ones_like(p) for p in params]

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, momentum, running, x, y):
        (loss, statistics), g = jax.value_and_grad(mean, has_aux=True)(params, x, y, True)
        momentum = [.9 * m + d + 5e-4 * p for m, d, p in zip(momentum, g, params)]
        running = [.9 * r + .1 * s for r, s in zip(running, statistics)]
        return [p - 1e-4 * m for p, m in zip(params, momentum)], momentum, running, loss
    plain = {
        'forward': lambda: losses(params, x, y)[0],
        'gradient': lambda: jax.grad(lambda p: mean(p, x, y)[0])(params),
        'score': lambda: jax.jvp(lambda p: losses(p, x, y)[0], (params,), (v,))[1],
        'hvp': lambda: jax.jvp(jax.grad(lambda p: mean(p, x, y)[0]), (params,), (v,))[1],
    }
    if a.phase == 'step':
        state = [params, [jnp.zeros_like(p) for p in params], jax.eval_shape(lambda: losses(params, x, y, True)[1])]
        state[2] = [jnp.zeros(s.shape) for s in state[2]]
        def run():
            *state[:], loss = step(*state, x, y)
            loss.block_until_ready()
    else:
        arguments = (params, v, x, y)
        def traced(*args):
            nonlocal params, v, x, y
            kept, (params, v, x, y) = (params, v, x, y), args
            try: return plain[a.phase]()
            finally: params, v, x, y = kept
        compiled = jax.jit(traced)
        def run(): jax.block_until_ready(compiled(*arguments))

    run()
    times, began = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - began < a.seconds:
        at = time.perf_counter()
        run()
        times.append(time.perf_counter() - at)
    times.sort()
    print(json.dumps({'net': a.net, 'phase': a.phase, 'batch': a.batch, 'jax': jax.__version__, 'device': str(jax.devices()[0].device_kind), 'precision': a.precision,
                      'images_per_second': a.batch / times[len(times) // 2]}, separators=(',', ':')), flush=True)

main()
