#!/bin/sh
# Installs the programs that the tests drive, on Debian and its relatives, as root.
# Elsewhere it says so and ends well: tests whose program is missing are skipped with a reason.
set -eu

packages="jackd2 jack-tools libportaudio2 liblo-tools iproute2 lua5.4 puredata-core csound chuck
    supercollider-language ardour xvfb xauth chromium chromium-driver
    g++ make patch pkg-config dpf-source libgl-dev libx11-dev libxext-dev libxcursor-dev libxrandr-dev
    jalv lilv-utils sordi qtractor openbox xdotool x11-utils imagemagick python3-gi gir1.2-gtk-3.0"

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "no apt here: tests that drive other programs run where these are installed by hand"
    exit 0
fi
missing=""
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ]; then
    echo "missing, and only root can install them:"
    echo "    sudo apt-get install --no-install-recommends$missing"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
echo 'jackd2 jackd/tweak_rt_limits boolean false' | debconf-set-selections
install() { apt-get -o DPkg::Lock::Timeout=580 install -qq -y --no-install-recommends $missing; }
{ apt-get -o DPkg::Lock::Timeout=580 update -qq && install; } >/dev/null || {
    echo "these could not be installed, and tests that need them are skipped:$missing"
}
