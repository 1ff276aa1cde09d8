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
      mkdir -p $out/libexec/gg # what starts the commands: it looks for gg-python in its own directory
      find $TMPDIR/native -path '*/bin/gg*' ! -name gg-python -exec cp {} $out/libexec/gg/ \;
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

in
# Programs alone: a `lib` here would be given to every linker whose shell has gg.
stdenv.mkDerivation {
  pname = "gg";
  inherit version;
  phases = [ "installPhase" ];
  installPhase = ''
    mkdir -p $out/bin
    cp ${modules}/libexec/gg/* $out/bin/
    sed '1s|.*|#!${python}/bin/python3 -s|' ${../toolchain-wrappers/start/gg-python} >$out/bin/gg-python
    chmod +x $out/bin/gg-python
  '';
  passthru = { inherit modules python; shellHookScript = ./shell-hook.sh; };
  meta = {
    description = "Record a build as thunks, and run them here or on thousands of workers with the same bytes";
    mainProgram = "gg";
    platforms = [ "x86_64-linux" "aarch64-linux" ];
  };
}
