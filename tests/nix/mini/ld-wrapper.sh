#! @shell@
# The linker's wrapper: gives each directory of the store whose library is used a run path.
set -eu -o pipefail +o posix
shopt -s nullglob
path_backup=$PATH
PATH=@tools@/bin
source @out@/nix-support/utils.bash
expandResponseParams "$@"
if [[ ${MINI_WRAPPER_OPERATION:-} == link ]]; then
    linkType=$chosen_LINK_TYPE
    unset MINI_WRAPPER_OPERATION
    extraAfter=()
else
    forget
    linkType=$(checkLinkType ${params+"${params[@]}"})
    extraAfter=($(<@out@/nix-support/libc-ldflags) ${NIX_LDFLAGS:-})
fi
source @out@/nix-support/add-hardening.sh
extraBefore=(${hardeningLinking[@]+"${hardeningLinking[@]}"})

if [[ ${NIX_ENFORCE_PURITY:-} = 1 && -n ${NIX_STORE:-} ]]; then
    kept=() prev=
    for p in ${params+"${params[@]}"}; do
        if [[ $prev == -dynamic-linker || $prev == -rpath ]]; then
            if ! badPath "$p"; then kept+=("$prev" "$p"); fi
        elif [[ $p == -L/* ]] && badPath "${p:2}"; then
            :
        elif [[ $p =~ ^/[^:]*/ ]] && badPath "$p"; then
            echo "impure path \`$p' used in link" >&2
            exit 1
        elif [[ $p != -dynamic-linker && $p != -rpath ]]; then
            kept+=("$p")
        fi
        prev=$p
    done
    params=(${kept+"${kept[@]}"})
fi

declare -a libDirs=()
declare -A libs=() rpaths=()
prev=
for p in ${extraBefore+"${extraBefore[@]}"} ${params+"${params[@]}"} ${extraAfter+"${extraAfter[@]}"}; do
    case $prev in
    -L) libDirs+=("$p") ;;
    -l) libs["lib$p.so"]=1 ;;
    -dynamic-linker | -plugin) ;;
    *)
        case $p in
        -L/*) libDirs+=("${p:2}") ;;
        -l?*) libs["lib${p:2}.so"]=1 ;;
        "$NIX_STORE"/*.so | "$NIX_STORE"/*.so.*) libDirs+=("${p%/*}") && libs["${p##*/}"]=1 ;;
        esac
        ;;
    esac
    prev=$p
done
if [[ $linkType != static-pie ]]; then
    for dir in ${libDirs+"${libDirs[@]}"}; do
        if whole=$(realpath -s "$dir"); then dir=$whole; else continue; fi
        if [[ -n ${rpaths[$dir]:-} || $dir != "$NIX_STORE"/* ]]; then continue; fi
        for path in "$dir"/*; do
            if [ "${libs[${path##*/}]:-}" ]; then
                rpaths["$dir"]=1
                extraAfter+=(-rpath "$dir")
                break
            fi
        done
    done
fi

export PATH=$path_backup
if ((${NIX_LD_USE_RESPONSE_FILE:-0} >= 1)); then
    responseFile=$(@tools@/bin/mktemp "${TMPDIR:-/tmp}/ld-params.XXXXXX")
    trap '@tools@/bin/rm -f -- "$responseFile"' EXIT
    writeResponseFile ${extraBefore+"${extraBefore[@]}"} ${params+"${params[@]}"} ${extraAfter+"${extraAfter[@]}"} >"$responseFile"
    (start "" @prog@ "@$responseFile")
else
    (start "" @prog@ ${extraBefore+"${extraBefore[@]}"} ${params+"${params[@]}"} ${extraAfter+"${extraAfter[@]}"})
fi
if [ -e @out@/nix-support/post-link-hook ]; then source @out@/nix-support/post-link-hook; fi
