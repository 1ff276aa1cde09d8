{
  description = "gg: record a build as thunks, force them anywhere with the same bytes";

  # The flake is in a folder of the source tree: github:OWNER/gg?dir=nix, or path:/where/it/is?dir=nix
  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      each = f: builtins.listToAttrs (map (system: { name = system; value = f (packages system); }) systems);
      packages = system: import nixpkgs { inherit system; overlays = [ self.overlays.default ]; };
    in
    {
      overlays.default = import ./overlay.nix;
      nixosModules.default = import ./module.nix;
      packages = each (pkgs: { inherit (pkgs) gg; default = pkgs.gg; });
      devShells = each (pkgs: {
        default = pkgs.ggShell { inputsFrom = [ pkgs.gg.modules ]; };
      });
      checks = each (pkgs: import ./checks.nix pkgs);
    };
}
