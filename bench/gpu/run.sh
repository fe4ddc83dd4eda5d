#!/usr/bin/env bash
# What a GPU makes of the program: devices, correctness, reproducibility, speed beside PyTorch and JAX, and a two-round run.
# Needs a program that was built with cgo and XLA's plugin (datadropout backend install xla:cuda), and nothing else; PyTorch and
# JAX are measured if PYTHON has them. Everything is kept in OUT, and a short table comes last. Takes about an hour.
#
#   bench/gpu/run.sh [OUT]
#
#   DATADROPOUT=datadropout   the program, by name or path
#   BACKEND=xla:cuda          what to measure
#   DATA=DIR                  folder with cifar-10-batches-bin; without it the program's own folder: datadropout data fetch cifar10
#   PYTHON=python3            for the peers
#   SIZE=full                 tiny: a few samples of everything, to see that it goes through
#                             A backend other than CUDA's has no TF32 and no operations that vary: both are left out.
#   EPOCHS=32 SEEDS=5         of the two-round run of resnet9 on CIFAR-10
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-gpu-$(date +%Y%m%d-%H%M%S)}
program=${DATADROPOUT:-datadropout}
backend=${BACKEND:-xla:cuda}
python=${PYTHON:-python3}
size=${SIZE:-full}
command -v "$program" >/dev/null || { echo "there is no program $program: set DATADROPOUT" >&2; exit 10; }
mkdir -p "$out"

case $size in
full)
  check=(--batch 16) nets=(resnet20:512 dncnn-s:128 cnn:512) phases=(train step score hvp) seconds=5
  twice=(--data shapes --train 2000 --net cnn-smooth --epochs 3 --batch 64 --seeds 1)
  rounds=(--data cifar10 --net resnet9 --recipe fast --epochs "${EPOCHS:-32}" --seeds "${SEEDS:-5}")
  [ -z "${DATA:-}" ] || rounds+=(--data-dir "$DATA")
  ;;
tiny)
  check=(--batch 2 --net softmax) nets=(cnn:4) phases=(train step) seconds=0.1
  twice=(--data shapes --train 32 --score 16 --tune 16 --test 16 --net lenet5-smooth --epochs 1 --batch 16 --seeds 1)
  rounds=(--data shapes --train 32 --score 16 --tune 16 --test 16 --net mlp --epochs "${EPOCHS:-1}" --batch 16 --seeds "${SEEDS:-2}"
    --score-folds 2 --max-iterations 2 --rule fraction:0.1)
  ;;
*) echo "SIZE is full or tiny, not $size" >&2; exit 2 ;;
esac

case $backend in
*cuda*) device=cuda precisions=(float32 tf32 bfloat16) ;;
cpu | go) device=cpu precisions=(float32) ;;
*) device=cpu precisions=(float32 bfloat16) ;;
esac
coarse=${precisions[-1]} # bfloat16, but where the backend has none

part() { printf '\n== %s\n' "$1"; }
rows=()
row() { rows+=("$(printf '%-52s %s' "$1" "$2")"); }
# field KEY: the value of a key in a line of JSON on stdin.
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^,\"}]*\).*/\1/p" | head -1; }

part "devices"
{ nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo "no nvidia-smi"; } | tee "$out/gpu.txt"
"$program" version | tee "$out/version.txt"
"$program" backend list | tee "$out/backends.txt"
row "device" "$(head -1 "$out/gpu.txt")"

part "correctness: $backend against cpu"
for precision in "${precisions[@]}"; do
  file=$out/check-$precision.jsonl
  if "$program" backend check "$backend" "${check[@]}" --json --precision "$precision" >"$file" 2>"$file.err"; then verdict=agrees; else verdict=DIFFERS; fi
  cat "$file" "$file.err"
  # The largest of a key; of the smooth networks, where kinks don't blur it.
  worst=$(sed -n 's/.*"net":"\([^"]*\)".*"difference":\([0-9.e+-]*\).*/\2 \1/p' "$file" | sort -g | grep -e -smooth -e softmax | tail -1)
  [ -s "$file" ] || verdict="FAILED: $(tail -1 "$file.err")"
  row "agrees with cpu, in $precision" "$verdict; largest difference without kinks ${worst:-none}"
done

part "the same seed twice"
for precision in auto "${precisions[@]:1}"; do
  [ "$precision" != tf32 ] || continue # which is auto there
  for k in 1 2; do
    "$program" train --quiet --force --out "$out/twice$k-$precision" --backend "$backend" --precision "$precision" "${twice[@]}"
  done
  same=same; cmp "$out"/twice[12]-"$precision"/checkpoints/full-0.model || same=DIFFERENT
  row "the same seed twice gives, in $precision" "$same bits"
  log=$out/metagradient-$precision.txt
  if "$program" score --quiet --run "$out/twice1-$precision" --estimator metagradient --no-smoothness-check >"$log" 2>&1; then
    row "metagradient repeats its training, in $precision" "yes"
  else
    cat "$log"
    row "metagradient repeats its training, in $precision" "NO: $(tail -1 "$log")"
  fi
done

part "speed"
# measure LABEL COMMAND...: appends a line of JSON with the label to speed.jsonl, or says why there is none.
measure() {
  local label=$1 line; shift
  if line=$("$@" 2>"$out/measure.err" | tail -1) && [ -n "$line" ]; then
    printf '{"who":"%s",%s\n' "$label" "${line#\{}" | tee -a "$out/speed.jsonl"
  else
    echo "$label: $(tail -1 "$out/measure.err")"
    return 1
  fi
}
: >"$out/speed.jsonl"
for entry in "${nets[@]}"; do
  net=${entry%:*} batch=${entry#*:}
  for phase in "${phases[@]}"; do
    common=(--net "$net" --phase "$phase" --batch "$batch" --seconds "$seconds")
    results=()
    ours=("$program" bench --json --backend "$backend" "${common[@]}")
    torch=("$python" -W ignore "$here/../peers/torch_bench.py" --device $device "${common[@]}")
    jax=("$python" -W ignore "$here/../peers/jax_bench.py" "${common[@]}")
    for who in datadropout float32 bfloat16 nondeterministic bfloat16-nondeterministic cpu torch torch-bfloat16 jax jax-bfloat16; do
      # In bfloat16 a run trains and evaluates, and does nothing else.
      case $who:$phase in torch*:train | jax*:train) continue ;; esac # they have no training with its batches
      case $who:$phase in *bfloat16*:train | *bfloat16*:step | *bfloat16*:forward) [ "$coarse" = bfloat16 ] || continue ;; *bfloat16*) continue ;; esac
      case $who:$device in float32:cpu | *nondeterministic:cpu) continue ;; esac
      case $who in
      datadropout) command=("${ours[@]}") ;;
      float32) command=("${ours[@]}" --precision float32) ;;
      bfloat16) command=("${ours[@]}" --precision bfloat16) ;;
      nondeterministic) command=("${ours[@]}" --deterministic=false) ;;
      bfloat16-nondeterministic) command=("${ours[@]}" --precision bfloat16 --deterministic=false) ;;
      cpu) command=("$program" bench --json --backend cpu "${common[@]}") ;;
      torch) command=("${torch[@]}") ;;
      torch-bfloat16) command=("${torch[@]}" --precision bfloat16) ;;
      jax) command=("${jax[@]}") ;;
      jax-bfloat16) command=("${jax[@]}" --precision bfloat16) ;;
      esac
      if measure "$who" "${command[@]}"; then
        results+=("$who $(tail -1 "$out/speed.jsonl" | field images_per_second | cut -d. -f1)")
      fi
    done
    row "images/s, $net $phase, batches of $batch" "$(IFS=';'; echo "${results[*]}" | sed 's/;/, /g')"
  done
done

part "two rounds: ${rounds[*]}"
began=$SECONDS
if "$program" run --force --out "$out/rounds" --backend "$backend" "${rounds[@]}" 2>"$out/rounds.err" | tee "$out/rounds.txt"; then code=0; else code=$?; fi
if [ -s "$out/rounds/result.json" ]; then
  verdict=$(tr -d '\n' <"$out/rounds/result.json" | field verdict)
  row "two rounds, ${rounds[1]} ${rounds[3]}" "$((SECONDS - began)) s, exit code $code, $(grep -m1 'dropped - full' "$out/rounds.txt" | tr -s ' '); $verdict"
else
  tail -5 "$out/rounds.err"
  row "two rounds" "FAILED, exit code $code: $(tail -1 "$out/rounds.err")"
fi

part "in short"
printf '%s\n' "${rows[@]}" | tee "$out/table.txt"
! grep -q -e FAILED -e DIFFER -e ' NO: ' "$out/table.txt"
