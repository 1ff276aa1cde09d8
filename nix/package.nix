# gg from this source tree, for any nixpkgs: callPackage ./package.nix { }. Nothing is fetched at evaluation.
{ stdenv, cmake, python3, glibc }:
let
  version = "0.1.0";
  source = builtins.path {
    name = "gg-source";
    path = ../.;
    filter = path: type:
      let below = builtins.substring (builtins.stringLength (toString ../. + "/")) (-1) path; in
      builtins.match "(gg|toolchain-wrappers)(/.*)?|LICENSE" below != null && baseNameOf path != "__pycache__";
  };

  # The Python package with its native programs beside it, compiled for a store in which nothing can be written and all files
  # are of 1970.
  modules = stdenv.mkDerivation {
    pname = "gg-modules";
    inherit version;
    src = source;
    nativeBuildInputs = [ cmake python3 ];
    buildInputs = [ glibc.static ]; # the shim starts in half the time
    cmakeDir = "../toolchain-wrappers";
    installPhase = ''
      runHook preInstall
      site=$out/${python3.sitePackages}
      DESTDIR=$TMPDIR/native cmake --install .
      mkdir -p $site
      cp -r ../gg $site/
      find $TMPDIR/native -type d -path '*/gg/_native' -exec cp -r {} $site/gg/ \;
      ${python3.interpreter} -m compileall -q --invalidation-mode unchecked-hash -s $out $site
      runHook postInstall
    '';
    dontStrip = true; # the libraries are small, and the interposers bind as they were linked
  };

  python = python3.withPackages (packages: with packages; [
    (toPythonModule modules)
    blake3
    boto3
    click
    cryptography
    msgpack
    rich
    zstandard
  ]);

  programs = {
    gg = "main";
    gg-init = "init";
    gg-infer = "infer";
    gg-force = "force";
    gg-describe = "describe";
    gg-create-thunk = "create_thunk";
    gg-hash = "hash_";
    gg-collect = "collect";
    gg-nix-hook = "nix_hook";
  };
  script = name: function: ''
    cat >$out/bin/${name} <<'END'
    #!${python}/bin/python3 -s
    import sys
    from gg.cli.main import ${function}
    sys.exit(${function}())
    END
  '';
in
# Programs alone: a `lib` here would be given to every linker whose shell has gg.
stdenv.mkDerivation {
  pname = "gg";
  inherit version;
  phases = [ "installPhase" ];
  installPhase = ''
    mkdir -p $out/bin
    ${builtins.concatStringsSep "" (builtins.attrValues (builtins.mapAttrs script programs))}
    chmod +x $out/bin/*
  '';
  passthru = { inherit modules python; };
  meta = {
    description = "Record a build as thunks, and run them here or on thousands of workers with the same bytes";
    mainProgram = "gg";
    platforms = [ "x86_64-linux" "aarch64-linux" ];
  };
}
