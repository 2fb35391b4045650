#!/usr/bin/env bash
# What a device does, with openssl, curl and mosquitto_pub alone. Beside a running Signet:
#   examples/02-device.sh dev-2
# Needs a token (SIGNET_TOKEN, or data/admin-token) for the two steps that are not the device's: factory and claim.
set -euo pipefail
id=$1
url=${SIGNET_URL:-http://127.0.0.1:8080}
bootstrap=${SIGNET_BOOTSTRAP_URL:-https://localhost:8444}
account=${SIGNET_ACCOUNT:-default}
token=${SIGNET_TOKEN:-$(cat "${SIGNET_DATA_DIR:-data}/admin-token")}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
umask 077

api() { curl -fsS -H "authorization: Bearer $token" -H 'content-type: application/json' "$url/v1/accounts/$account/$1" -d "$2"; }
field() { node -e 'let v=JSON.parse(require("fs").readFileSync(0));for(const k of process.argv[1].split("."))v=v[k];process.stdout.write(Array.isArray(v)?v.join("\n"):v)' "$1"; }
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

# factory: the device makes its key; only the request leaves it
key bootstrap.key
openssl req -new -key bootstrap.key -subj "/CN=$id" -out bootstrap.csr
api factory/certificates "{\"items\":[{\"csr\":\"$(awk '{printf "%s\\n", $0}' bootstrap.csr)\"}]}" > signed.json
field results.0.certificate < signed.json > bootstrap.crt
field results.0.trustAnchors < signed.json > trust.pem

# operator: claims it
api devices "{\"fingerprint\":\"$(field results.0.fingerprint < signed.json)\"}" > /dev/null

# bootstrap: mutual TLS with the bootstrap certificate
curl -fsS --cacert trust.pem --cert bootstrap.crt --key bootstrap.key -X POST "$bootstrap/v1/bootstrap" > bundle.json
field trustAnchors < bundle.json > trust.pem

# enrol: EST with the grant, and a key that stays here
key operational.key
openssl req -new -key operational.key -subj "/O=$account/CN=$id" -outform DER | openssl base64 > operational.csr
curl -fsS --cacert trust.pem -u "$(field est.username < bundle.json):$(field est.grant < bundle.json)" \
  -H 'content-type: application/pkcs10' --data-binary @operational.csr \
  "$(field est.url < bundle.json)/.well-known/est/$(field est.label < bundle.json)/simpleenroll" > enrolled.p7
openssl base64 -d -in enrolled.p7 | openssl pkcs7 -inform DER -print_certs -out operational.crt

# connect: MQTT with the operational certificate alone
mqtt=$(field mqtt.url < bundle.json)
host=${mqtt#*//}
mosquitto_pub -h "${host%%:*}" -p "${host##*:}" --cafile trust.pem --cert operational.crt --key operational.key \
  -i "$id" -q 1 -t "d/$account/$id/up/hello" -m world
echo "$id enrolled and said hello"
