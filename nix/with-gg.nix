# withGg drv: the package, built by gg. Its makes and ninjas are recorded and forced in nix's sandbox, whatever its build phase
# is; a build phase that calls a compiler itself calls it as ever.
# withGg { store = "/run/gg/store"; } drv: with the store that `gg nix store` serves at a socket, which `extra-sandbox-paths` has
# to name. What an earlier build has made, of this package or of another version of it, is taken from there.
pkgs: given:
let
  with_ = { store ? null }: drv: drv.overrideAttrs (old: {
    nativeBuildInputs = (old.nativeBuildInputs or [ ]) ++ [ pkgs.gg ];
    preBuildPhases = (old.preBuildPhases or [ ]) ++ [ "ggPhase" ];
    ggPhase = ''
      source ${./shell-hook.sh}
      ggCommands
    '' + (if store == null then "" else ''
      export GG_STORAGE_URI=unix:${toString store}
    '');
  });
in
if given ? overrideAttrs then with_ { } given else with_ given
