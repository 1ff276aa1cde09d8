#!/bin/sh
# enter.sh NIX COMMAND...: run COMMAND where /nix is the directory NIX, and all else is as it is.
# Called in a mount namespace of its own, as its root (`unshare -m`, `unshare -rm`). Where /nix is missing, `/` becomes a new
# directory with all that the old one has, for nothing is made in the machine's own `/`.
set -eu
nix=$1 here=$PWD
shift
if [ -d /nix ]; then
    mount --bind "$nix" /nix
    cd "$here"
    exec "$@"
fi
root=$nix/../root
mkdir -p "$root"
mount -t tmpfs tmpfs "$root"
for entry in /* /.[!.]*; do
    name=${entry#/}
    if [ "$name" = homeless-shelter ]; then continue; fi # what some build has left there would stop all others
    if [ -L "$entry" ]; then
        ln -s "$(readlink "$entry")" "$root/$name"
    elif [ -d "$entry" ]; then
        mkdir "$root/$name"
        mount --rbind "$entry" "$root/$name"
    elif [ -e "$entry" ]; then
        : >"$root/$name"
        mount --bind "$entry" "$root/$name"
    fi
done
mkdir "$root/nix" "$root/.old"
mount --bind "$nix" "$root/nix"
cd "$root"
pivot_root . .old
umount -l /.old
rmdir /.old
cd "$here"
exec "$@"
