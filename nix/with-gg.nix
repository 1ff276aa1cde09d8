# withGg drv: the package, built by gg. Its makes and ninjas are recorded and forced in nix's sandbox, whatever its build phase
# is; a build phase that calls a compiler itself calls it as ever.
pkgs: drv:
drv.overrideAttrs (old: {
  nativeBuildInputs = (old.nativeBuildInputs or [ ]) ++ [ pkgs.gg ];
  preBuildPhases = (old.preBuildPhases or [ ]) ++ [ "ggPhase" ];
  ggPhase = ''
    source ${./shell-hook.sh}
    ggCommands
  '';
})
