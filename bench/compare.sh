#!/usr/bin/env bash
# Measures datadropout and PyTorch side by side on the same processors: in turn, each network and phase in a process of its
# own, several rounds, and prints medians and ratios. Needs a Python with PyTorch and a fast BLAS (on Debian python3-torch and
# libopenblas0; without the latter PyTorch's dense layers crawl): PYTHON, by default /usr/bin/python3.
#   bench/compare.sh [rounds] > table
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3}
python=${PYTHON:-/usr/bin/python3}
threads=${THREADS:-2}
nets=${NETS:-cnn resnet20 resnet9 dncnn-s}
phases=${PHASES:-forward gradient step score hvp ggn}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 go build -o "$work/datadropout" ./cmd/datadropout
go test -c -o "$work/kernel.test" ./cpu/internal/kernel

# PyTorch at its best: all vector instructions, and an allocator that keeps its memory.
capability=avx2
grep -qm1 avx512f /proc/cpuinfo && capability=avx512
torch() {
  OMP_NUM_THREADS=$threads ATEN_CPU_CAPABILITY=$capability MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=1000000000000 \
    MALLOC_TOP_PAD_=268435456 "$python" -W ignore bench/peers/torch_bench.py --threads "$threads" "$@"
}

OMP_NUM_THREADS=$threads "$python" -W ignore - <<'PY'
import time, torch
a = torch.randn(1024, 1024)
a @ a
began = time.time()
for _ in range(10): a @ a
rate = 10 * 2 * 1024**3 / (time.time() - began) / 1e9
if rate < 30: raise SystemExit(f"PyTorch's matrix product runs at {rate:.0f} GFLOP/s: it lacks a fast BLAS, and would be no opponent")
PY

for ((round = 1; round <= rounds; round++)); do
  for net in $nets; do
    for phase in $phases; do
      "$work/datadropout" bench --json --threads "$threads" --net "$net" --phase "$phase" >> "$work/ours"
      torch --net "$net" --phase "$phase" >> "$work/torch" || true
    done
  done
  for net in $nets; do
    "$work/datadropout" bench --json --threads 1 --net "$net" --phase step >> "$work/single"
    "$work/datadropout" bench --json --threads "$threads" --net "$net" --phase step >> "$work/all"
  done
  # A convolution of 64 to 64 channels and a matrix product, the convolution directly and by Winograd.
  for winograd in off on; do
    DATADROPOUT_CPU_WINOGRAD=$winograd GOMAXPROCS=$threads "$work/kernel.test" -test.run - \
      -test.bench 'Conv/vgg40|Gemm/1024x1024x1024/NN' -test.benchtime 500ms | sed -n "s/^Benchmark/$winograd /p" >> "$work/kernels"
  done
done

"$python" - "$work" "$rounds" <<'PY'
import json, platform, statistics, sys
work, rounds = sys.argv[1:]
def read(name):
    groups = {}
    for line in open(f'{work}/{name}'):
        r = json.loads(line)
        groups.setdefault((r['net'], r['phase']), []).append(r)
    return groups
ours, torch = read('ours'), read('torch')
median = lambda rs, key: statistics.median(r[key] for r in rs)
some = next(iter(torch.values()))[0]
first = next(iter(ours.values()))[0]
cpu = next((l.split(':')[1].strip() for l in open('/proc/cpuinfo') if l.startswith('model name')), platform.machine())
peak = statistics.median(r['peak_gflops'] for rs in ours.values() for r in rs)
print(f"{cpu}, {first['threads']} threads; PyTorch {some['torch']}; batch {first['batch']}; medians of {rounds} rounds; matrix-product peak {peak:.0f} GFLOP/s\n")
print('| network | phase | images/s | GFLOP/s | of peak | in gradients | PyTorch | ratio | memory MiB | PyTorch |')
print('|---|---|---|---|---|---|---|---|---|---|')
for key, rs in ours.items():
    rate = median(rs, 'images_per_second')
    grad = ours.get((key[0], 'gradient'))
    cost = f"{median(grad, 'images_per_second') / rate:.2f}" if grad else ''
    t = torch.get(key)
    theirs, ratio, memory = '', '', ''
    if t:
        theirs = f"{median(t, 'images_per_second'):.0f}"
        # The machine drifts: the ratio is the median over rounds of the ratio within a round.
        ratio = f"{statistics.median(a['images_per_second'] / b['images_per_second'] for a, b in zip(rs, t)):.2f}"
        memory = f"{median(t, 'peak_memory_bytes') / 2**20:.0f}"
    print(f"| {key[0]} | {key[1]} | {rate:.0f} | {median(rs, 'gflops'):.0f} | {median(rs, 'gflops') / peak:.0%} | {cost} | {theirs} | {ratio} | {median(rs, 'peak_memory_bytes') / 2**20:.0f} | {memory} |")
single, both = read('single'), read('all')
print(f"\nScaling of the step from 1 to {first['threads']} threads:", ', '.join(
    f"{net} {statistics.median(a['images_per_second'] / b['images_per_second'] for a, b in zip(both[net, phase], rs)):.2f}"
    for (net, phase), rs in single.items()))

kernels = {}
for line in open(f'{work}/kernels'):
    way, name, *rest = line.split()
    if 'GFLOP/s' in rest:
        kernels.setdefault((way, name.rsplit('-', 1)[0]), []).append(float(rest[rest.index('GFLOP/s') - 1]))
product = statistics.median(kernels['off', 'Gemm/1024x1024x1024/NN'])
print(f'\nConvolution 3x3, 64 to 64 channels, 40x40, batch 32; the matrix product 1024x1024x1024 runs at {product:.0f} GFLOP/s\n')
print('| way | direct GFLOP/s | of the matrix product | Winograd, effective |')
print('|---|---|---|---|')
for way in ('forward', 'data', 'weight'):
    direct, winograd = (statistics.median(kernels[k, f'Conv/vgg40/64-64/{way}']) for k in ('off', 'on'))
    print(f'| {way} | {direct:.0f} | {direct / product:.0%} | {winograd:.0f} |')
PY
