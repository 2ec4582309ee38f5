#!/bin/sh
# Install what the tests need, or with `emulator` a Cortex-M to run on, where this is Debian and we are root; else say what is missing.
set -eu
emulator="qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi"
packages="chromium fonts-dejavu-core strace g++ clang libclang-rt-dev cmake openssh-server umockdev qemu-user-static binfmt-support mmdebstrap arch-test $emulator"
[ "${1:-}" = emulator ] && packages="$emulator"
missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get -qq update
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends $missing >/dev/null
else
    echo "not installed, so what needs it is left out:$missing"
fi
