#!/bin/sh
# Copies DPF's sources and applies the patches beside this file: prepare.sh FROM TO
# DPF writes objects into its own tree, so it is never built where the package put it.
set -eu
from=$1 to=$2 here=$(cd "$(dirname "$0")" && pwd)

if [ ! -f "$from/Makefile.plugins.mk" ]; then
    echo "no DPF in $from: install Debian's dpf-source 1.6+ds-2, or unpack it anywhere and set DPF_PATH" >&2
    exit 1
fi
rm -rf "$to.part" "$to"
cp -r "$from" "$to.part"
for patch in "$here"/*.patch; do
    patch -s -p1 -d "$to.part" < "$patch"
done
mv "$to.part" "$to"
