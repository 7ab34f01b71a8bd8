# shellcheck shell=bash
# Keys and certificates of a site, each made once and then kept. The keys are the tree that `eventbus secrets generate` makes in
# $EB_RUN/secrets; keys for a rotation are beside the seeds of auth-callout: it may read no other folder than it did at its start.

# All sites at once, since a link between two has a half of its pair on either side.
secrets_make() {
    local site ids=()
    # every CPC that a document of a CSC may list, so that a CPC that is started later finds its half
    for site in $EB_SITES $(site_documents); do
        [[ $site != cpc-* ]] || ids+=(--cpc "${site#cpc-}")
    done
    for site in $EB_EXTRA_ACCOUNTS; do ids+=(--extra-account "$site"); done
    "$EB_EVENTBUS" secrets generate "$EB_RUN/secrets" "${ids[@]}" >"$EB_RUN/secrets.log" 2>&1 ||
        { cat "$EB_RUN/secrets.log" >&2; die "eventbus secrets generate failed in $EB_RUN/secrets"; }
}
# The sites that have a document.
site_documents() {
    local file
    for file in "$EB_SITE_DOCS"/*.yaml; do
        file=${file##*/}
        [[ ! $file =~ ^(csc|cpc-[a-z0-9]+)\.yaml$ ]] || echo "${file%.yaml}"
    done
}

# The file with the seed of a key that auth-callout uses: issuer, xkey, or the name of one for a rotation.
key_file() { # name
    case $1 in
    issuer) echo "$SITE_KEYS/auth-callout-keys/issuer-seed" ;;
    xkey) echo "$SITE_KEYS/auth-callout-keys/xkey-seed" ;;
    *) echo "$SITE_KEYS/auth-callout-keys/$1.nk" ;;
    esac
}
# Makes one for a rotation: the seed and the public key, a line each, mode 0600.
key_make() { # --account|--curve name
    local file
    file=$(key_file "$2")
    case $file in *-seed) return 0 ;; esac
    [ -f "$file" ] || "$EB_EVENTBUS" key generate "$1" --out "$file" >/dev/null || die "cannot make $file"
    [[ $(sed -n 2p "$file") =~ ^[AUX][A-Z2-7]{55}$ ]] || die "$file holds no key pair: remove it to get a new one"
}
keys_make() {
    local name
    for name in $EB_ISSUER $EB_ISSUERS; do key_make --account "$name"; done
    for name in $EB_XKEY_NAME $EB_XKEYS; do key_make --curve "$name"; done
}

# Prints the tree that the servers' configuration is rendered from: the site's own, or while a rotation has given the servers
# another issuer or xkey a copy of it with those pairs.
secrets_in_force() {
    local copy=$SITE_DIR/rotated pair name file
    if [ "$EB_ISSUER" = issuer ] && [ "$EB_XKEY_NAME" = xkey ]; then
        echo "$EB_RUN/secrets"
        return 0
    fi
    rm -rf "$copy"
    mkdir -p "$copy"
    chmod 700 "$copy"
    # shellcheck disable=SC2153 # set by site_use
    cp -a "$EB_RUN/secrets/$SITE" "$copy/"
    for pair in "$EB_ISSUER:nats-auth-signing" "$EB_XKEY_NAME:nats-xkey"; do
        name=${pair%%:*} file=$(key_file "${pair%%:*}")
        case $file in *-seed) continue ;; esac
        sed -n 1p "$file" >"$copy/$SITE/nkeys/${pair#*:}/seed"
        sed -n 2p "$file" >"$copy/$SITE/nkeys/${pair#*:}/pubkey"
    done
    echo "$copy"
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
    # all of them good for a week more: nothing to do
    ! openssl verify -attime $((EPOCHSECONDS + 604800)) -CAfile "$dir/ca.pem" "$dir"/{server,client,bms}.pem >/dev/null 2>&1 || return 0
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
