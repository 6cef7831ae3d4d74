#!/bin/sh
# Makes what docker-compose.yml reads as secrets, in deploy/secrets; what is there already stays.
# The key for your backend is shown once: the server keeps its digest only.
set -eu
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
# Containers read the files as users of their own, so the files are open and their folder is closed:
# the way to them leads through it on this host, and not in a container.
chmod 700 "$folder"
umask 022

random() {
    head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'
}

for name in monitoring_token grafana_password; do
    [ -e "$folder/$name" ] || random > "$folder/$name"
done
if [ ! -e "$folder/api_keys.toml" ]; then
    key="ftk_$(random)"
    digest=$(printf %s "$key" | sha256sum | cut -d ' ' -f 1)
    printf '[keys.backend]\nsha256 = "%s"\n' "$digest" > "$folder/api_keys.toml"
    echo "The key of your backend, shown this once: $key"
fi
echo "Secrets are in $folder; Grafana's user is admin."
