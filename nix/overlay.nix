# gg, a shell that has it, and packages that are built by it.
final: prev: {
  gg = final.callPackage ./package.nix { };
  ggShell = import ./shell.nix final;
  withGg = import ./with-gg.nix final;
}
