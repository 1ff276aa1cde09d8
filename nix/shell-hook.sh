# gg in a shell of nix's, or in a build: `source` it from the shellHook of any mkShell that has gg.
#
#   ggConfigurePhase    as configurePhase, remembered: the same in the same surroundings is put in place at once
#   ggBuildPhase        as buildPhase, each make, ninja and the like in it recorded and forced
#   ggCommands          from here on these commands are recorded and forced; ggCommands off: no more
#
# SOURCE_DATE_EPOCH stays as it is. GG_ENGINE, GG_STORAGE_URI, GG_JOBS and gg.toml say where what is recorded runs.

# What mkShell has for a build phase is no package's.
case "${IN_NIX_SHELL:-} ${phases[*]:-}" in
*pure\ buildPhase | *pure\ nobuildPhase) unset phases buildPhase nobuildPhase ;;
esac

ggBuildTools="make gmake ninja samu cmake meson scons waf"

ggCommands() {
    local tool
    for tool in $ggBuildTools; do
        if [ "${1:-on}" = off ]; then
            unset -f "$tool"
        else
            eval "$tool() { ${2:-gg-infer --quiet --force} $tool \"\$@\"; }"
        fi
    done
}

# ggWith WORDS PHASE: run a phase as genericBuild does, be it a function or a text, with WORDS before its build tools.
ggWith() {
    local phase=$2 status=0
    ggCommands on "$1"
    eval "${!phase:-$phase}" || status=$?
    ggCommands off
    return $status
}

ggConfigurePhase() {
    local configureScript=${configureScript:-}
    if [ -z "$configureScript" ] && [ -x ./configure ]; then configureScript=./configure; fi
    if [ -n "$configureScript" ]; then configureScript="gg-infer --quiet --trace $configureScript"; fi
    ggWith "gg-infer --quiet --trace" configurePhase
}

ggBuildPhase() { ggWith "gg-infer --quiet --force" buildPhase; }
