#!/bin/sh
# What `npm ci` links into node_modules/.bin as `seamctl`, `conductor` and `with-node`. The programs are TypeScript that Node runs as it is
# from version 24 on, so all three put the Node that `npm ci` brought first on PATH, whichever one the machine has. (Its own link in .bin is
# no help: npm 10 removes it together with the package of the other platform.) `with-node COMMAND` runs a command that way. `exec`: signals
# and exit codes are the program's own.
set -eu
here=$(dirname "$(readlink -f "$0")")
name=$(basename "$0")
bundled=
for folder in "$here"/../../node_modules/node-linux-*/bin; do
  if [ -x "$folder/node" ]; then
    bundled=$folder
    PATH=$folder:$PATH
  fi
done
if [ -z "$bundled" ]; then
  version=$(node --version 2>/dev/null || echo none)
  major=${version#v}
  major=${major%%.*}
  if [ "$version" = none ] || [ "$major" -lt 24 ]; then
    echo "$name: needs Node 24 or newer, found $version; \`npm ci\` brings it on Linux (x64, arm64), elsewhere install it" >&2
    exit 1
  fi
fi
if [ "$name" = with-node ]; then exec "$@"; fi
# As in src/roles/process-options.ts, which says why.
options=
if [ "$name" = conductor ]; then
  case ${CONDUCTOR_ROLE:-} in
    management) options="--max-semi-space-size=4" ;;
    tenant) options="--max-semi-space-size=4" ;;
  esac
fi
# shellcheck disable=SC2086 # several options
exec node $options "$here/$name.ts" "$@"
