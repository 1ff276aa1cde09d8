# What the wrappers of compiler and linker share.

# What was chosen for an earlier call is none of this one's.
forget() {
    local name
    for name in "${!chosen_@}"; do unset "$name"; done
    unset MINI_WRAPPER_OPERATION
}

# start OPERATION PROGRAM ARGUMENTS...: become the program; a link's choices go along.
start() {
    local operation=$1 name
    shift
    if [[ -n $operation ]]; then
        export MINI_WRAPPER_OPERATION=$operation chosen_LINK_TYPE=${linkType:-}
        for name in "${!chosen_@}"; do export "$name"; done
    else
        forget
    fi
    exec "$@"
}

expandResponseParams() {
    declare -ga params=("$@")
    local p
    for p in "$@"; do
        if [[ $p == @* ]]; then
            readarray -d '' params < <(@out@/libexec/expand-response-params "$@")
            return 0
        fi
    done
}

writeResponseFile() {
    local p
    for p in "$@"; do
        p=${p//\\/\\\\}
        p=${p//\"/\\\"}
        printf '"%s"\n' "$p"
    done
}

checkLinkType() {
    local p type=dynamic
    for p in "$@"; do case $p in -static) type=static ;; -static-pie) type=static-pie ;; esac done
    echo "$type"
}

# Does the path lead out of the store and of what the build makes?
badPath() {
    local p=$1 dir
    if [ "${p:0:1}" != / ] || [ "$p" = /dev/null ]; then return 1; fi
    for dir in "$NIX_STORE" "${NIX_BUILD_TOP:-/tmp}" /tmp "${TMPDIR:-/tmp}"; do
        if [ "${p#"$dir"}" != "$p" ]; then return 1; fi
    done
    return 0
}
