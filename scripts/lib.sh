# Shared by the scripts beside it: the repository's root, and a clock for "what is happening, how long".
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"

# step TEXT COMMAND...: says what runs, and how long it took.
step() {
  local text=$1 began=$SECONDS
  shift
  echo "== $text"
  "$@"
  echo "== $text: done in $((SECONDS - began)) s"
}
