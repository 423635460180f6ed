#!/bin/sh
# Installs the Debian packages that the main job and the tests use, when root; otherwise names them.
set -eu
missing=
need() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ] || missing="$missing $2"; }
need runc runc
need ip iproute2
need zstd zstd
need xz xz-utils
need bzip2 bzip2
need ssh-agent openssh-client
need pigz pigz
need git git
need skopeo skopeo
need umoci umoci
need buildah buildah
[ -d /usr/lib/cni ] || missing="$missing containernetworking-plugins"
need docker-registry docker-registry
need htpasswd apache2-utils
need openssl openssl
need strace strace
need gpg gnupg
need gpgv gpgv
need dpkg-deb dpkg
need apt-ftparchive apt-utils
need mke2fs e2fsprogs
need setfattr attr
need newuidmap uidmap
need crun crun
[ -x /usr/bin/busybox ] || [ -x /bin/busybox ] || missing="$missing busybox-static"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  printf 'setup: installing Debian packages:%s\n' "$missing" >&2
  log=$(mktemp)
  # shellcheck disable=SC2086
  if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    exit 3
  fi
  rm -f "$log"
else
  printf 'setup: these Debian packages are missing; install them as root: apt-get install%s\n' "$missing" >&2
  exit 3
fi
