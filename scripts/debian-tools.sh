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
need sshd openssh-server
need qemu-aarch64-static qemu-user-static
need update-binfmts binfmt-support
need dockerd docker.io
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
need rpmbuild rpm
need createrepo_c createrepo-c
need testsolv libsolv-tools
need apt-ftparchive apt-utils
need mke2fs e2fsprogs
need setfattr attr
need mkfs.vfat dosfstools
need mtools mtools
need sfdisk fdisk
need objcopy binutils
need qemu-img qemu-utils
need veritysetup cryptsetup-bin
need sbsign sbsigntool
need faketime faketime
need xorriso xorriso
need mksquashfs squashfs-tools
[ -e /usr/lib/systemd/boot/efi/linuxx64.efi.stub ] || missing="$missing systemd-boot-efi"
need newuidmap uidmap
need crun crun
[ -x /usr/bin/busybox ] || [ -x /bin/busybox ] || missing="$missing busybox-static"

# A static shell of another architecture, and the kernel told to run it through QEMU; without them the tests of emulation say why they are skipped.
emulation() {
  [ "$(id -u)" = 0 ] || return 0
  binfmt=/proc/sys/fs/binfmt_misc
  if command -v update-binfmts >/dev/null 2>&1 && [ ! -e "$binfmt/qemu-aarch64" ]; then
    { [ -e "$binfmt/register" ] || mount -t binfmt_misc binfmt_misc "$binfmt"; } 2>/dev/null || return 0
    update-binfmts --enable qemu-aarch64 >/dev/null 2>&1 || return 0
  fi
  tools=$(dirname "$0")/../.tools
  [ ! -x "$tools/arm64/busybox" ] || return 0
  dir=$(mktemp -d)
  chmod 0755 "$dir"
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$tools/arm64"
  foreign() {
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State::lists=$dir/lists" \
      -o "Dir::Cache=$dir/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root "$@"
  }
  if (foreign update && cd "$dir" && foreign download busybox-static && dpkg-deb -x "$dir"/busybox-static_*.deb "$dir/x") >/dev/null 2>&1; then
    cp "$dir/x/bin/busybox" "$tools/arm64/busybox"
  else
    printf 'setup: no busybox of arm64 could be fetched; the tests of emulation will be skipped\n' >&2
  fi
  rm -rf "$dir"
}
[ -n "$missing" ] || { emulation; exit 0; }
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  printf 'setup: installing Debian packages:%s\n' "$missing" >&2
  log=$(mktemp)
  # Services of these packages (docker.io, docker-registry, openssh-server) are not started: the tests start what they need.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
  fi
  # shellcheck disable=SC2086
  if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    exit 3
  fi
  rm -f "$log"
  emulation
else
  printf 'setup: these Debian packages are missing; install them as root: apt-get install%s\n' "$missing" >&2
  exit 3
fi
