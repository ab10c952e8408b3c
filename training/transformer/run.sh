#!/usr/bin/env bash
# Prepares the data once, then trains or goes on training, in a way that leaves the machine usable.
#   run.sh [DIR] [TOKENS] [train.py's options]     DIR: where data and state live; TOKENS: in all, earlier runs included
# As a background job: nohup nice -n 15 training/transformer/run.sh ~/nzip-training 20e6 >> ~/nzip-training.log 2>&1 &
# Stopping it at any moment loses at most four minutes of work.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
shared=${NZIP_SHARED:-$here/../../../shared}
dir=${1:-$HOME/nzip-training}
tokens=${2:-100e6}
python=$dir/venv/bin/python
mkdir -p "$dir"
exec 9> "$dir/lock"
flock -n 9 || { echo "already training in $dir"; exit 0; }

command -v bzip3 > /dev/null || { apt-get update -q && apt-get install -y -q bzip3; }
[ -x "$python" ] || python3 -m venv "$dir/venv"
"$python" -c 'import torch, numba, safetensors' 2> /dev/null || "$python" -m pip install -q -r "$here/requirements.txt"
[ -f "$dir/data/meta.json" ] ||
    "$python" "$here/prepare.py" "$shared/train" "$dir/data" --tokenizer "$shared/training/tokenizer-8k.json"

export OMP_WAIT_POLICY=PASSIVE # waiting threads sleep instead of burning a core beside other work
exec "$python" "$here/train.py" --data "$dir/data" --out "$dir/model" --tokens "$tokens" "${@:3}"
