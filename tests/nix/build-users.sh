#!/bin/sh
# build-users.sh COMMAND...: run COMMAND where nix has users of its own to build as (nixbld1 to nixbld4, of the group nixbld).
# Called in the world's mount namespace, by root: nothing is changed in the machine's own /etc.
set -eu
aside=$(mktemp -d)
mount -t tmpfs tmpfs "$aside"
grep -v ^nixbld /etc/passwd >"$aside/passwd"
grep -v ^nixbld: /etc/group >"$aside/group"
echo nixbld:x:30000:nixbld1,nixbld2,nixbld3,nixbld4 >>"$aside/group"
for n in 1 2 3 4; do
    echo "nixbld$n:x:3000$n:30000:Nix build user $n:/var/empty:/usr/sbin/nologin" >>"$aside/passwd"
done
chmod 755 "$aside"
mount --bind "$aside/passwd" /etc/passwd
mount --bind "$aside/group" /etc/group
umount -l "$aside"
rmdir "$aside"
NIX_CONFIG="$NIX_CONFIG
build-users-group = nixbld"
export NIX_CONFIG
exec "$@"
