#!/usr/bin/env bash
# Runs independent clients against keyflow fake: they must get the content keys that the assets were encrypted with.
# And ffmpeg, which decrypts on its own, must get the same frames as keyflow.
# Needs Node with npm, ffmpeg, and ./keyflow (make build). The clients come from npm, pinned, and are run, not read.
set -euo pipefail
cd "$(dirname "$0")/../.."

command -v npm >/dev/null || { echo "interop: npm is missing: install Node with npm" >&2; exit 1; }
command -v ffmpeg >/dev/null || { echo "interop: ffmpeg is missing: install ffmpeg" >&2; exit 1; }
dir=$(mktemp -d)
fake=
trap '[ -z "$fake" ] || kill "$fake" 2>/dev/null || true; rm -rf "$dir"' EXIT

npm install --prefix "$dir" --ignore-scripts --no-save --no-package-lock --no-audit --no-fund --silent \
  widevine@1.0.7 node-playready@1.1.5
cp fakes/interop/*.mjs "$dir"

./keyflow fake --export "$dir/export" --quiet >"$dir/fake.log" 2>&1 &
fake=$!
for _ in $(seq 100); do
  [ -e "$dir/export/plain-widevine.yaml" ] && [ -e "$dir/export/endpoints.json" ] && break
  kill -0 "$fake" 2>/dev/null || { cat "$dir/fake.log" >&2; exit 1; }
  sleep 0.1
done

# One that fails does not keep the others from running.
status=0
node "$dir/widevine.mjs" "$dir/export" fixtures/assets || status=1
node "$dir/playready.mjs" "$dir/export" fixtures/assets || status=1
KEYFLOW_INTEROP="$dir" go test -v -tags interop -count=1 ./fakes/interop | grep -vE '^(=== | *--- PASS|PASS)' || status=1
exit $status
