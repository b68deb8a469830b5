#!/bin/sh
# Makes the certificates of the tests anew, for a hundred years. What is in this folder protects nothing.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: > "$work/index"
echo 01 > "$work/serial"
cat > "$work/openssl.cnf" <<END
[ca]
default_ca = here
[here]
database = $work/index
serial = $work/serial
new_certs_dir = $work
certificate = ca.pem
private_key = $work/ca.key
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:service.test, DNS:localhost, IP:127.0.0.1, IP:::1
[alone]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = DNS:service.test, DNS:localhost, IP:127.0.0.1, IP:::1
END
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
sign() { # name, not before, not after
    key "$1.key"
    openssl req -new -key "$1.key" -subj /CN=service.test -out "$work/$1.csr"
    openssl ca -batch -notext -config "$work/openssl.cnf" -extensions leaf -startdate "$2" -enddate "$3" \
        -in "$work/$1.csr" -out "$work/$1.pem" 2> "$work/log" || { cat "$work/log"; exit 1; }
    cat "$work/$1.pem" "$1.key" > "$1.pem"
    rm "$1.key"
}
key "$work/ca.key"
openssl req -x509 -new -key "$work/ca.key" -subj "/CN=Central Hub tests" -days 36500 \
    -config "$work/openssl.cnf" -extensions root -out ca.pem
sign good 20240101000000Z 21240101000000Z
sign expired 20240101000000Z 20240201000000Z
key "$work/alone.key"
openssl req -x509 -new -key "$work/alone.key" -subj /CN=service.test -days 36500 \
    -config "$work/openssl.cnf" -extensions alone -out "$work/alone.pem"
cat "$work/alone.pem" "$work/alone.key" > self-signed.pem
