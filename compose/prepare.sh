#!/bin/sh
# Run by the service `prepare`, as root, before the others start: gives the users of their images their folders,
# and makes the token of Watchpost's port, once. The token is in its volume and nowhere else.
set -eu

chown 10001:10001 /collector /tempo

if [ ! -s /token/token ]; then
    umask 077
    head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >/token/token.new
    chown 65532:65532 /token/token.new
    chmod 400 /token/token.new
    mv /token/token.new /token/token
fi
chmod 755 /token
