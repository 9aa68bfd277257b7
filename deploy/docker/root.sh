#!/bin/bash
# The image of a Dockerfile as a folder, without Docker: Debian by debootstrap where FROM is, then its COPY and RUN lines in a chroot.
# Needs root and debootstrap; packages come from where apt and pip of this machine take them. tests/kafka/test_image.py runs it.
#     deploy/docker/root.sh FOLDER                        # EXTRAS='[feedback]' for the image of the loop
#     deploy/docker/root.sh FOLDER trainer.Dockerfile
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
image=$1
file=$root/deploy/docker/${2:-Dockerfile}
read -r python suite < <(sed -nE 's/^FROM python:([0-9]+\.[0-9]+)[0-9.]*-slim-([a-z]+)$/\1 \2/p' "$file")
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $suite" | head -1)
debootstrap --variant=minbase --include="python$python,python$python-venv,python3-distutils,ca-certificates" \
    "$suite" "$image" "$mirror" >&2
ln -sf "python$python" "$image/usr/bin/python"
rm -rf "$image"/var/cache/apt/* "$image"/var/lib/apt/lists/*
echo "base $(du -sm "$image" | cut -f1) MB"

copy() { # source in the repository, target in the image
    git -C "$root" ls-files -z -- "$1" | (cd "$root" && xargs -0 cp --parents -t "$image/src")
    [ "$2" = "${2#/}" ] || mv "$image/src/$1" "$image$2"
}
mkdir "$image/src"
while read -r words; do
    for name in ${words% *}; do copy "$name" "${words##* }"; done
done < <(sed -nE 's/^COPY ([^-].*)$/\1/p' "$file" | grep -v ' /')
# only while packages are fetched: this machine's resolver and authorities
cp "$image/etc/ssl/certs/ca-certificates.crt" "$image/src/ca"
cp --dereference /etc/resolv.conf /etc/hosts "$image/etc/"
cp /etc/ssl/certs/ca-certificates.crt "$image/etc/ssl/certs/"
while read -r step; do
    echo "RUN $step" >&2
    chroot "$image" /usr/bin/env -C /src EXTRAS="${EXTRAS:-}" PATH=/usr/bin:/bin PIP_NO_CACHE_DIR=1 bash -euc "$step" >&2
done < <(sed -nE 's/^RUN //p' "$file")
cp "$image/src/ca" "$image/etc/ssl/certs/ca-certificates.crt"
rm -rf "$image/src"
mkdir "$image/src"
while read -r from to; do copy "$from" "$to"; done < <(sed -nE 's/^COPY ([^-]\S+ \/.*)$/\1/p' "$file")
rm -rf "$image/src"
echo "environment $(du -sm "$image/opt" | cut -f1) MB, image $(du -sm "$image" | cut -f1) MB"
