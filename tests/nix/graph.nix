# A graph to be built plainly and by the hook: a chain with references, two packages that are compiled, one with two outputs, one
# whose output is fixed, one that fails, one that waits for a file, one that writes beside its output. `salt` makes all of it new.
{ checkout, salt, source ? ./mini/words }:
let
  pkgs = import <nixpkgs> { overlays = [ (import (checkout + "/nix/overlay.nix")) ]; };
  make = name: dependencies: script: derivation {
    inherit name salt dependencies;
    inherit (pkgs) system;
    builder = "${pkgs.bootstrap}/bin/bash";
    PATH = "${pkgs.bootstrap}/bin";
    args = [ "-c" "${script}; exit 0" ];
  };
  one = make "one" [ ] "echo one > $out";
  two = make "two" [ one ] "mkdir $out; ln -s $dependencies $out/link; echo text > $out/f";
  chain = number:
    if number == 0 then two
    else make "chain-${toString number}" [ (chain (number - 1)) ] ''
      mkdir $out; echo ${toString number} $dependencies > $out/f; printf '#!/bin/sh\necho hi' > $out/x; chmod 755 $out/x
      echo this is number ${toString number} >&2'';
  fixedTo = text: derivation {
    name = "fixed";
    inherit (pkgs) system;
    builder = "${pkgs.bootstrap}/bin/bash";
    args = [ "-c" "echo fetching >&2; printf 'fixed for ${salt}' > $out; exit 0" ];
    outputHashMode = "flat";
    outputHashAlgo = "sha256";
    outputHash = builtins.hashString "sha256" text;
  };
  fixed = fixedTo "fixed for ${salt}";
  count = pkgs.count.overrideAttrs (old: { inherit salt; });
in
rec {
  inherit count fixed;
  wrong = fixedTo "other than for ${salt}";
  words = pkgs.words.overrideAttrs (old: { inherit salt; src = source; buildInputs = [ count ]; });
  all = make "all" [ (chain 7) words count.doc fixed ] "cat $dependencies > $out 2>/dev/null; echo $dependencies >> $out";
  matrix = builtins.listToAttrs (map
    (name: { inherit name; value = make name [ ] "echo begun; sleep 6; echo over; echo ${name} > $out"; })
    [ "first" "second" "third" ]);
  fails = make "fails" [ ] "echo going wrong >&2; echo begun > begun; exit 3";
  beside = make "beside" [ ] "echo x > /nix/store/evil && echo it could; echo y > $out";
  waits = make "waits" [ ] ''
    echo begun; n=0; while [ ! -e /gate/open ] && [ $n -lt 3000 ]; do sleep 0.1; n=$((n+1)); done
    [ -e /gate/open ] || exit 1; echo over; echo over > $out'';
  slow = make "slow" [ ] "echo begun; sleep 600; echo over; echo over > $out";
  asked = make "asked" [ ] ''
    exec > $out; env | sort; id; pwd; ls -a / /etc /build /tmp; ls /dev | grep -vx core
    cat /etc/passwd /etc/group /etc/hosts; hostname; umask; stat -c '%A %u %g %n' / /build /tmp /nix/store /dev''; # newer nix lets nobody write /etc
}
