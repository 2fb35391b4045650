#!/bin/sh
# refresh-crls.sh <folder> [<seconds>]: keeps crls.pem of the folder current, from the addresses in crl-urls.txt, and
# tells the nginx of nginx.pid. Once, or for ever at this interval. What cannot be had or believed changes nothing:
# nginx refuses every device by itself once a CRL has passed its end.
set -eu
folder=$1 every=${2:-0}
mkdir -p "$folder/crls"

# The number of a CRL; 0 where there is none yet.
number() {
  [ -e "$1" ] || { echo 0; return; }
  hex=$(openssl crl -in "$1" -noout -crlnumber) && hex=${hex#crlNumber=} && echo $((0x${hex#0x}))
}

# fetch <url> <path without ending>: leaves <path>.pem as it is unless there is a newer CRL, signed by a CA of trust.pem.
fetch() {
  url=$1 path=$2
  touch "$path.etag"
  rm -f "$path.der"
  curl --silent --show-error --fail --max-time 20 --max-filesize 67108864 \
    --etag-compare "$path.etag" --etag-save "$path.etag.new" --output "$path.der" "$url" || return 1
  [ -s "$path.der" ] || return 0 # 304: it is the one that is here
  openssl crl -inform DER -in "$path.der" -CAfile "$folder/trust.pem" -out "$path.new" 2>&1 | grep -q '^verify OK' ||
    { echo "$url: not signed by a CA of trust.pem" >&2; return 1; }
  ends=$(openssl crl -in "$path.new" -noout -nextupdate)
  [ "$(date -d "${ends#nextUpdate=}" +%s)" -gt "$(date +%s)" ] || { echo "$url: it has ended" >&2; return 1; }
  [ "$(number "$path.new")" -ge "$(number "$path.pem")" ] || { echo "$url: older than the one here" >&2; return 1; }
  mv "$path.new" "$path.pem"
  mv "$path.etag.new" "$path.etag"
}

refresh() {
  failed=0 index=0
  while read -r url; do
    index=$((index + 1))
    fetch "$url" "$folder/crls/$index" </dev/null || failed=1
  done <"$folder/crl-urls.txt"
  [ -n "$(ls "$folder/crls" | grep '\.pem$')" ] || return 1
  cat "$folder"/crls/*.pem >"$folder/crls.pem.new"
  if cmp -s "$folder/crls.pem.new" "$folder/crls.pem"; then return "$failed"; fi
  mv "$folder/crls.pem.new" "$folder/crls.pem"
  if [ -s "$folder/nginx.pid" ]; then kill -HUP "$(cat "$folder/nginx.pid")"; fi
  echo "$(date -u +%FT%TZ) crls.pem is new"
  return "$failed"
}

if [ "$every" = 0 ]; then
  refresh
  exit
fi
while :; do
  refresh || echo "$(date -u +%FT%TZ) not all CRLs could be had; the next try in $every s" >&2
  sleep "$every"
done
