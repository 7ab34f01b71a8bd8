# shellcheck shell=bash
# Keys and certificates of a site, each made once and then kept.

# Makes an nkey pair in $SITE_DIR/keys/NAME.nk: the seed and the public key, a line each, mode 0600.
key_make() { # --user|--account|--curve name
    local file=$SITE_DIR/keys/$2.nk
    [ -f "$file" ] || "$EB_EVENTBUS" key generate "$1" --out "$file" >/dev/null || die "cannot make $file"
    [[ $(key_public "$2") =~ ^[AUX][A-Z2-7]{55}$ ]] || die "$file holds no key pair: remove it to get a new one"
}
key_seed() { sed -n 1p "$SITE_DIR/keys/$1.nk"; }
key_public() { sed -n 2p "$SITE_DIR/keys/$1.nk"; }

keys_make() {
    local name
    mkdir -p "$SITE_DIR/keys"
    chmod 700 "$SITE_DIR" "$SITE_DIR/keys"
    for name in $EB_ISSUER $EB_ISSUERS; do key_make --account "$name"; done
    for name in $EB_XKEY_NAME $EB_XKEYS; do key_make --curve "$name"; done
    for name in service auth-watch sys-admin mtls-leaf mtls-authx-leaf mtls-sys-leaf; do key_make --user "$name"; done
}

cert_good() { # file: there, and valid for a week more
    [ -f "$1" ] && openssl x509 -in "$1" -noout -checkend 604800 >/dev/null 2>&1
}

# Issues certs/NAME.pem and certs/NAME-key.pem, signed by the site's CA.
cert_issue() { # name common-name usage [alternative names]
    local dir=$SITE_DIR/certs
    if cert_good "$dir/$1.pem" && openssl verify -CAfile "$dir/ca.pem" "$dir/$1.pem" >/dev/null 2>&1; then
        return 0
    fi
    local san=()
    [ -z "${4:-}" ] || san=(-addext "subjectAltName=$4")
    openssl req -x509 -CA "$dir/ca.pem" -CAkey "$dir/ca-key.pem" -days 365 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -subj "/CN=$2" -keyout "$dir/$1-key.pem" -out "$dir/$1.pem" -addext basicConstraints=critical,CA:FALSE \
        -addext keyUsage=critical,digitalSignature -addext "extendedKeyUsage=$3" "${san[@]}" 2>"$dir/openssl.log" ||
        { cat "$dir/openssl.log" >&2; die "openssl could not issue the certificate $1"; }
}

certs_make() {
    local dir=$SITE_DIR/certs
    mkdir -p "$dir"
    chmod 700 "$dir"
    (
        umask 077
        if ! cert_good "$dir/ca.pem"; then
            rm -f "$dir"/*.pem # everything that the old CA signed goes with it
            openssl req -x509 -days 3650 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=Event Bus local CA $SITE" \
                -keyout "$dir/ca-key.pem" -out "$dir/ca.pem" -addext basicConstraints=critical,CA:TRUE,pathlen:1 \
                -addext keyUsage=critical,keyCertSign,cRLSign 2>"$dir/openssl.log" ||
                { cat "$dir/openssl.log" >&2; die "openssl could not make a CA"; }
        fi
        cert_issue server "mtls.$SITE" serverAuth "DNS:localhost,DNS:mtls.$SITE,IP:$SITE_ADDR,IP:127.0.0.1"
        cert_issue client "mqtt-client.$SITE" clientAuth
        cert_issue bms "bms.$SITE" clientAuth
        rm -f "$dir/openssl.log"
    )
}
