#!/usr/bin/env bash
# Compresses shards with GNU parallel and survives a job that is killed:
#   examples/parallel.sh FOLDER [nzip's options]
# FOLDER/*.jsonl become FOLDER/*.jsonl.nz. An archive has its name only once it is complete, so a second run does what is
# missing and nothing else. With --sshlogin, --transferfile and --return, parallel does the same on other machines.
set -euo pipefail
folder=$1
shift
missing() {
    find "$folder" -name '*.jsonl' -print0 | while IFS= read -r -d '' shard; do
        [ -e "$shard.nz" ] || printf '%s\0' "$shard"
    done
}
for attempt in 1 2 3; do
    if missing | parallel --null --no-run-if-empty --halt soon,fail=100% nzip -T1 -q "$@" {}; then
        break
    fi
    echo "attempt $attempt: $(missing | tr -cd '\0' | wc -c) shards are missing" >&2
done
[ -z "$(missing | tr '\0' '\n')" ]
find "$folder" -name '*.jsonl.nz' -print0 | parallel --null nzip -t -T1 -q {}
