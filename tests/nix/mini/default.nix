# A small nixpkgs of the tests' own: a bootstrap from Debian, a compiler's wrapper in today's manner, a stdenv with phases,
# mkShell, Python with packages, overlays. Names and arguments are those of nixpkgs. `machine.nix` says what this machine has;
# tests/nix/world.py writes it.
{ overlays ? [ ], system ? "x86_64-linux", config ? { } }:
let
  machine = import ./machine.nix;
  fix = f: let x = f x; in x;
  extends = overlay: f: final: let prev = f final; in prev // overlay final prev;
  bash = final: "${final.bootstrap}/bin/bash";
  base = final: {
    inherit system;
    callPackage = f: args: let g = if builtins.isFunction f then f else import f; in
      g (builtins.intersectAttrs (builtins.functionArgs g) final // args);
    bootstrap = derivation {
      name = "bootstrap-${machine.debian}";
      inherit system;
      builder = "/bin/bash";
      args = [ ./bootstrap.sh ];
      inherit (machine) python;
      __noChroot = true;
      preferLocalBuild = true;
    };
    ccWrapper = derivation {
      name = "gcc-wrapper";
      inherit system;
      builder = bash final;
      args = [ ./cc-wrapper-build.sh ];
      cc = final.bootstrap;
      tools = final.bootstrap;
      libc = "${final.bootstrap}/libc";
      shell = bash final;
      wrapper = ./cc-wrapper.sh;
      ldwrapper = ./ld-wrapper.sh;
      utils = ./wrapper-utils.bash;
      hardening = ./add-hardening.sh;
      expander = ./expand-response-params.c;
    };
    stdenv = {
      inherit (final) system mkDerivation;
      cc = final.ccWrapper;
      shell = bash final;
    };
    mkDerivation = attrs:
      let
        drv = derivation (removeAttrs attrs [ "passthru" "meta" "pname" "version" ] // {
          name = attrs.name or "${attrs.pname}-${attrs.version}";
          inherit system;
          builder = bash final;
          args = [ "-e" ./builder.sh ];
          stdenv = ./stdenv;
          initialPath = [ final.ccWrapper final.bootstrap ];
          shell = bash final;
          outputs = attrs.outputs or [ "out" ];
          nativeBuildInputs = attrs.nativeBuildInputs or [ ];
          buildInputs = attrs.buildInputs or [ ];
        });
      in
      drv // (attrs.passthru or { }) // {
        meta = attrs.meta or { };
        version = attrs.version or "";
        inherit (final) stdenv;
        overrideAttrs = f: final.mkDerivation (attrs // (f attrs));
        nativeBuildInputs = attrs.nativeBuildInputs or [ ];
        buildInputs = attrs.buildInputs or [ ];
        shellHook = attrs.shellHook or "";
      };
    mkShell = { name ? "nix-shell", packages ? [ ], inputsFrom ? [ ], shellHook ? "", nativeBuildInputs ? [ ], buildInputs ? [ ], ... }@args:
      final.mkDerivation (removeAttrs args [ "packages" "inputsFrom" ] // {
        inherit name;
        nativeBuildInputs = packages ++ nativeBuildInputs ++ builtins.concatMap (d: d.nativeBuildInputs) inputsFrom;
        buildInputs = buildInputs ++ builtins.concatMap (d: d.buildInputs) inputsFrom;
        shellHook = builtins.concatStringsSep "\n" (map (d: d.shellHook or "") inputsFrom ++ [ shellHook ]);
        phases = "buildPhase";
        buildPhase = "export >$out";
      });
    # Some of the bootstrap's programs, as a package that has these alone.
    some = name: programs: derivation {
      inherit name system programs;
      builder = bash final;
      args = [ "-c" ''
        PATH=${final.bootstrap}/bin
        mkdir -p $out/bin
        for p in $programs; do ln -s ${final.bootstrap}/bin/$p $out/bin/; done
        exit 0
      '' ];
    };
    bashInteractive = final.some "bash-interactive" [ "bash" ];

    # Python
    python3 = final.some "python3" [ "python3" machine.pythonName ] // {
      interpreter = "${final.bootstrap}/bin/python3";
      sitePackages = "lib/${machine.pythonName}/site-packages";
      pkgs = { toPythonModule = package: package; } // builtins.mapAttrs (name: src: derivation {
        inherit name system src;
        builder = bash final;
        args = [ ./wheel.sh ];
        tools = final.bootstrap;
      }) machine.wheels;
      withPackages = f: derivation {
        name = "python3-env";
        inherit system;
        builder = bash final;
        args = [ ./python-env.sh ];
        tools = final.bootstrap;
        packages = f final.python3.pkgs ++ map (name: final.python3.pkgs.${name}) machine.needed;
      };
    };
    cmake = final.some "cmake" [ "cmake" ];
    glibc = { static = final.some "glibc-static" [ ]; }; # the compiler's wrapper knows where it is

    # Packages: small ones of the tests' own, and some from Debian's sources
    words = final.mkDerivation { name = "words-1"; src = ./words; buildInputs = [ final.count ]; };
    count = final.mkDerivation { name = "count-1"; src = ./count; outputs = [ "out" "doc" ]; };
    zlib = final.mkDerivation { pname = "zlib"; version = "1.2.13"; src = machine.source "zlib"; };
    hello = final.mkDerivation { pname = "hello"; version = "2.10"; src = machine.source "hello"; };
    protobuf = final.debianLibrary "protobuf" [ "libprotobuf-dev" "libprotobuf32" "protobuf-compiler" "libprotoc32" "zlib1g-dev" "zlib1g" ];
    ncurses = final.debianLibrary "ncurses" [ "libncurses-dev" "libncurses6" "libtinfo6" ];
    openssl = final.debianLibrary "openssl" [ "libssl-dev" "libssl3" ];
    mosh = final.mkDerivation {
      pname = "mosh";
      version = "1.4.0";
      src = machine.source "mosh";
      nativeBuildInputs = [ final.perl ];
      buildInputs = [ final.protobuf final.ncurses final.openssl final.zlib ];
    };
    perl = final.fromMachine "perl" ./perl.sh [ "perl-modules" ];
    debianLibrary = name: packages: final.fromMachine name ./debian-library.sh packages;
    fromMachine = name: script: packages: derivation {
      inherit name system packages;
      builder = "/bin/bash";
      args = [ script ];
      tools = final.bootstrap;
      __noChroot = true;
      preferLocalBuild = true;
    };
  };
in
fix (builtins.foldl' (f: overlay: extends overlay f) base overlays)
