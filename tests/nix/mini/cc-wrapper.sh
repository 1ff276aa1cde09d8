#! @shell@
# A compiler's wrapper in the manner of nixpkgs of 2026: shell that adds flags before and after, then starts the inner
# compiler; what it chose for a link goes to ld's wrapper in variables.
set -eu -o pipefail +o posix
shopt -s nullglob
path_backup=$PATH
PATH=@tools@/bin
source @out@/nix-support/utils.bash
expandResponseParams "$@"
forget

dontLink=0 operands=0 cc1=0 standardIncludes=1
[[ @prog@ == *++ ]] && isCxx=1 || isCxx=0
for p in ${params+"${params[@]}"}; do
    case $p in
    -[cSEM] | -MM) dontLink=1 ;;
    -cc1) cc1=1 ;;
    -nostdinc) standardIncludes=0 ;;
    -x*-header) dontLink=1 ;;
    -?*) ;;
    *) operands=1 ;;
    esac
done
if [ $operands = 0 ]; then dontLink=1; fi

if [[ ${NIX_ENFORCE_PURITY:-} = 1 && -n ${NIX_STORE:-} ]]; then
    kept=() skipped=
    for p in ${params+"${params[@]}"}; do
        if [[ -n $skipped ]]; then
            if badPath "$p"; then :; else kept+=("$skipped" "$p"); fi
            skipped=
            continue
        fi
        case $p in
        -[IL]/*) if badPath "${p:2}"; then continue; fi ;;
        -[IL] | -isystem) skipped=$p && continue ;;
        esac
        kept+=("$p")
    done
    params=(${kept+"${kept[@]}"})
fi

chosen_CFLAGS="-B@out@/bin/ ${NIX_CFLAGS_COMPILE:-}"
if [ $standardIncludes = 1 ]; then chosen_CFLAGS="$(<@out@/nix-support/libc-cflags) $chosen_CFLAGS"; fi
if [ $isCxx = 1 ]; then chosen_CFLAGS+=" $(<@out@/nix-support/libcxx-cxxflags)"; fi
chosen_LDFLAGS="$(<@out@/nix-support/libc-ldflags) ${NIX_LDFLAGS:-} $(<@out@/nix-support/cc-ldflags)"
chosen_DYNAMIC_LINKER=$(<@out@/nix-support/dynamic-linker)
source @out@/nix-support/add-hardening.sh

extraBefore=(${hardeningBefore[@]+"${hardeningBefore[@]}"} ${NIX_CFLAGS_COMPILE_BEFORE:-})
extraAfter=(${hardeningAfter[@]+"${hardeningAfter[@]}"} $chosen_CFLAGS)
if [ $dontLink != 1 ]; then
    linkType=$(checkLinkType ${params+"${params[@]}"})
    extraAfter+=(${NIX_CFLAGS_LINK:-})
    if [[ $linkType == dynamic ]]; then extraBefore+=("-Wl,-dynamic-linker=$chosen_DYNAMIC_LINKER"); fi
    for i in $chosen_LDFLAGS; do
        if [ "${i:0:3}" = -L/ ]; then extraAfter+=("$i"); else extraAfter+=("-Wl,$i"); fi
    done
fi
if [ "$*" = -v ] || [ $cc1 = 1 ]; then extraBefore=() extraAfter=(); fi
if ((${NIX_DEBUG:-0} >= 1)); then
    echo "extra flags before to @prog@:" >&2
    printf '  %q\n' ${extraBefore+"${extraBefore[@]}"} >&2
fi

export PATH=$path_backup
operation=
if [[ $dontLink != 1 && $cc1 != 1 ]]; then operation=link; fi
if ((${NIX_CC_USE_RESPONSE_FILE:-0} >= 1)); then
    responseFile=$(@tools@/bin/mktemp "${TMPDIR:-/tmp}/cc-params.XXXXXX")
    trap '@tools@/bin/rm -f -- "$responseFile"' EXIT
    writeResponseFile ${extraBefore+"${extraBefore[@]}"} ${params+"${params[@]}"} ${extraAfter+"${extraAfter[@]}"} >"$responseFile"
    (start "$operation" @prog@ "@$responseFile")
else
    start "$operation" @prog@ ${extraBefore+"${extraBefore[@]}"} ${params+"${params[@]}"} ${extraAfter+"${extraAfter[@]}"}
fi
