#!/bin/bash
# Makes one layer: mounts the layers below as one tree, does one thing in it, and leaves what changed in $LAYER/tree and the
# names that went in $LAYER/gone. Runs in a mount namespace of its own, so that nothing stays mounted.
#   layer.sh copy <source> <list|-> <target> <is-folder> <owner> <mode>
#   layer.sh run <user> <workdir> <command> ...
# LAYER: its folder. LOWERS, FROM_LOWERS: folders of layers, topmost first, relative to here. MACHINE: folder with what the
# machine lends to a command. BUILD_ENV: file with its environment, separated by NUL.
set -euo pipefail
umask 022

merged=$LAYER/merged
mkdir "$LAYER/tree" "$LAYER/work" "$LAYER/empty" "$merged"
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=${LOWERS:-$LAYER/empty},upperdir=$LAYER/tree,workdir=$LAYER/work,redirect_dir=off,metacopy=off,index=off" "$merged"

# Where a path of the image is; a link that leads out of it is refused.
inside() {
  local found
  found=$(realpath -m "$merged/$1")
  case "$found/" in
    "$(realpath "$merged")"/*) printf %s "$found" ;;
    *) echo "$1 leads out of the image" >&2; return 1 ;;
  esac
}

# `name`, `name:group`, `1000:1000` as numbers, by the image's own lists.
number_of() {
  case "$2" in
    ''|*[!0-9]*) awk -F: -v name="$2" '$1 == name { print $3; found = 1 } END { exit !found }' "$merged/etc/$1" || { echo "the image's /etc/$1 knows no $2" >&2; return 1; } ;;
    *) printf %s "$2" ;;
  esac
}
user_of() {
  local user=${1%%:*} uid gid
  uid=$(number_of passwd "$user")
  if [[ $1 == *:* ]]; then gid=$(number_of group "${1#*:}")
  else gid=$({ awk -F: -v uid="$uid" '$3 == uid { print $4; exit }' "$merged/etc/passwd" 2>/dev/null || true; }); fi
  printf %s "$uid:${gid:-0}"
}

copy() {
  local source=$1 list=$2 target=$3 is_folder=$4 owner mode=$6 to ids
  ids=$(user_of "${5:-0:0}")
  # `:<number>`: tar 1.34 takes `+<number>` for root.
  owner=(--numeric-owner --owner=":${ids%%:*}" --group=":${ids##*:}")
  [[ -n $mode ]] && owner+=(--mode="$mode")
  if [[ -n ${FROM_LOWERS:-} ]]; then
    mkdir "$LAYER/from"
    if [[ $FROM_LOWERS == *:* ]]; then mount -t overlay overlay -o "ro,lowerdir=$FROM_LOWERS" "$LAYER/from"
    else mount --bind "$FROM_LOWERS" "$LAYER/from"; fi
    source=$LAYER/from/$source
    [[ -e $source ]] || { echo "there is no /${source#"$LAYER/from/"} in the other stage" >&2; return 1; }
    source=$(realpath "$source")
  fi
  to=$(inside "$target")
  if [[ -d $source ]]; then
    mkdir -p "$to"
    if [[ $list == - ]]; then tar -C "$source" "${owner[@]}" -cf - . ; else tar -C "$source" "${owner[@]}" --no-recursion --null -T "$list" -cf - ; fi | tar -C "$to" -xpf - --no-overwrite-dir
    return
  fi
  [[ $is_folder == yes || -d $to ]] && to=$to/$(basename "$source")
  mkdir -p "$(dirname "$to")"
  tar -C "$(dirname "$source")" "${owner[@]}" -chf - "$(basename "$source")" | tar -C "$(dirname "$to")" -xpf - --transform="s,.*,$(basename "$to"),"
}

lend() {
  mount -t proc proc "$merged/proc"
  mount -t tmpfs tmpfs "$merged/dev"
  local device
  for device in null zero full random urandom tty; do touch "$merged/dev/$device"; mount --bind "/dev/$device" "$merged/dev/$device"; done
  ln -s /proc/self/fd "$merged/dev/fd"
  mkdir -m 1777 "$merged/dev/shm"
  mount -t tmpfs tmpfs "$merged/run"
  mkdir "$merged/run/machine"
  mount --rbind "$MACHINE" "$merged/run/machine"
  # Borrowed files are named in <folder>/lent: <path on the machine> TAB <name under /run/machine>.
  local path name
  while IFS=$'\t' read -r path name; do mount --bind "$path" "$merged/run/machine/$name"; done < "$MACHINE/lent"
  [[ -e $merged/etc/resolv.conf ]] && mount --bind /etc/resolv.conf "$merged/etc/resolv.conf"
  [[ -e $merged/etc/hosts ]] && mount --bind /etc/hosts "$merged/etc/hosts"
  return 0
}

run() {
  local ids workdir=$2 environment
  ids=$(user_of "$1")
  shift 2
  mkdir -p "$(inside "$workdir")"
  lend
  mapfile -d '' environment < "$BUILD_ENV"
  # Its own directory first: chroot begins at /.
  chroot --userspec="$ids" "$merged" /usr/bin/env -i --chdir="$workdir" "${environment[@]}" "$@"
  umount -R "$merged/run" "$merged/dev" "$merged/proc"
  umount "$merged/etc/resolv.conf" "$merged/etc/hosts" 2>/dev/null || true
}

"$@" < /dev/null

# What the layers below have and the whole does not: only folders that this layer touched can differ.
IFS=: read -ra lowers <<< "${LOWERS:-}"
(cd "$LAYER/tree" && find . -type d -print0) | while IFS= read -r -d '' folder; do
  below=()
  for lower in "${lowers[@]}"; do [[ -d $lower/$folder ]] && below+=("$lower/$folder"); done
  [[ ${#below[@]} -eq 0 ]] && continue
  comm -23 <(for one in "${below[@]}"; do ls -A "$one"; done | LC_ALL=C sort -u) <(ls -A "$merged/$folder" | LC_ALL=C sort -u) |
    while IFS= read -r name; do printf '%s\n' "$folder/$name"; done
done > "$LAYER/gone"
umount "$merged"
rm -rf "$LAYER/work" "$LAYER/empty" "$merged"
[[ -d $LAYER/from ]] && { umount "$LAYER/from"; rmdir "$LAYER/from"; }
exit 0
