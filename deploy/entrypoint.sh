#!/bin/sh
# Starts the service that the first argument names.
set -eu
main="/signet/services/${1:-}/src/main.ts"
if [ $# -ne 1 ] || [ ! -f "$main" ]; then
  echo "usage: signet <service>; services: $(ls /signet/services | tr '\n' ' ')" >&2
  exit 2
fi
exec node "$main"
