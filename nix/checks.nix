# What `nix flake check` builds: gg, in nix's sandbox, makes of a small program what make makes.
pkgs: {
  inherit (pkgs) gg;
  same-bytes = pkgs.stdenv.mkDerivation {
    name = "gg-same-bytes";
    nativeBuildInputs = [ pkgs.gg ];
    phases = [ "buildPhase" ];
    buildPhase = ''
      mkdir one other
      for directory in one other; do
        echo 'int twice(int x) { return 2 * x; }' >$directory/twice.c
        echo 'int twice(int); int main(int argc, char **argv) { return twice(argc) != 2; }' >$directory/main.c
        printf 'main: main.o twice.o\n\t$(CC) -o main main.o twice.o\n' >$directory/Makefile
      done
      make -C one
      (cd other; gg-infer make; test ! -x main || ! cmp -s main ../one/main; gg-force; gg status)
      cmp one/main other/main
      other/main
      touch $out
    '';
  };
}
