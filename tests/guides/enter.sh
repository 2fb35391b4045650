#!/bin/sh
# enter.sh <scratch> <clone> <command…>, in mount, network and process namespaces of its own (unshare):
# runs the command in a copy of this machine that is thrown away with it. Files that are written, /etc and the clone
# too, are written to memory; its network is a loopback, where every port is free.
set -e
scratch=$1 clone=$2
shift 2
mount --make-rprivate /
mount -t tmpfs signet-guide "$scratch"
overlay() { # <name> <where>
  mkdir "$scratch/$1" "$scratch/$1.work"
  mount -t overlay signet-guide -o "lowerdir=$2,upperdir=$scratch/$1,workdir=$scratch/$1.work" "$3"
}
root=$scratch/root
mkdir "$root"
overlay system / "$root"
for each in proc dev; do mount --rbind /$each "$root/$each"; done
mount -t tmpfs signet-guide "$root/tmp"
mount -t tmpfs signet-guide "$root/run"
# what is below these, or on a file system of its own, is not in the copy of /
case $clone in
  /tmp/* | /run/*) mkdir -p "$root$clone" && isHidden=yes ;;
esac
if [ -n "$isHidden" ] || [ "$(stat -c %d "$clone")" != "$(stat -c %d /)" ]; then
  overlay clone "$clone" "$root$clone"
fi
ip link set lo up
cd "$root"
pivot_root . mnt
cd "$clone"
umount -l /mnt
rm -rf data
exec "$@"
