# What bash runs for each derivation: attributes that are structured come in a file, others in the environment.
if [ -e "${NIX_ATTRS_SH_FILE:-}" ]; then . "$NIX_ATTRS_SH_FILE"; elif [ -e .attrs.sh ]; then . ./.attrs.sh; fi
for output in ${!outputs[*]}; do [ "$output" = 0 ] || export "$output=${outputs[$output]}"; done
source "$stdenv/setup"
genericBuild
exit 0
